"""PodTopologyLabels: a bound pod carries zone and region of its node.

Matches `plugin/pkg/admission/podtopologylabels` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.node_labels import REGION, ZONE
from kubeberth.api.scheme import NODES, PODS
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin, Reader

LABELS = (REGION, ZONE)


class PodTopologyLabels(Plugin):
    """Copies the node's labels when a pod is bound, or created on a node."""

    resources = (PODS,)

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def admit(self, attributes: Attributes) -> None:
        """Label a pod that comes to its node with this write."""
        pod = attributes.document
        if pod is None:
            return
        if attributes.operation == "CREATE" or attributes.subresource == "binding":
            self._copy(pod)

    def _copy(self, pod: Document) -> None:
        name = pod["spec"].get("nodeName")
        node = self._reader.find(NODES, "", name) if name else None
        labels = (node or {"metadata": {}})["metadata"].get("labels", {})
        copied = {key: labels[key] for key in LABELS if key in labels}
        if copied:
            pod["metadata"]["labels"] = {**pod["metadata"].get("labels", {}), **copied}
