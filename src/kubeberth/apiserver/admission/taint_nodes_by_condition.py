"""TaintNodesByCondition: a new node is not ready until a controller has seen that it is.

Matches `plugin/pkg/admission/nodetaint` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.scheme import NODES
from kubeberth.apiserver.admission.chain import Attributes, Plugin

TAINT = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition(Plugin):
    """Adds the not-ready taint to new nodes."""

    resources = (NODES,)

    async def admit(self, attributes: Attributes) -> None:
        """Taint a new node."""
        node = attributes.document
        if node is None or attributes.operation != "CREATE":
            return
        spec = node.setdefault("spec", {})
        taints = spec.get("taints", [])
        if not any((t["key"], t["effect"]) == (TAINT["key"], TAINT["effect"]) for t in taints):
            spec["taints"] = [*taints, dict(TAINT)]
