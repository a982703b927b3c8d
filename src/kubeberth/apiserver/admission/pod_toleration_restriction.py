"""PodTolerationRestriction: a namespace says which taints its pods tolerate, and may tolerate.

    Rule 1  A new pod gets the tolerations of its namespace's annotation, or the cluster's.
    Rule 2  A pod that is not BestEffort tolerates memory pressure.
    Rule 3  If there is a list of what may be tolerated, everything else is refused.

Matches `plugin/pkg/admission/podtolerationrestriction` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api.json_syntax import JSONSyntaxError, parse_json
from kubeberth.api.qos import qos_class
from kubeberth.api.scheme import NAMESPACES, PODS
from kubeberth.api.tolerations import is_within, merged
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin, Reader
from kubeberth.errors import ApiError

DEFAULTS = "scheduler.alpha.kubernetes.io/defaultTolerations"
LISTED = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
MEMORY_PRESSURE = {
    "key": "node.kubernetes.io/memory-pressure",
    "operator": "Exists",
    "effect": "NoSchedule",
}


class PodTolerationRestriction(Plugin):
    """Adds tolerations, and refuses those that are not listed.

    Parameters
    ----------
    configuration
        The plugin's own: the cluster's `default` tolerations and `whitelist`.
    """

    resources = (PODS,)

    def __init__(self, reader: Reader, configuration: Mapping[str, Any]) -> None:
        self._reader = reader
        self._default: list[Document] = configuration.get("default") or []
        self._listed: list[Document] = configuration.get("whitelist") or []

    async def admit(self, attributes: Attributes) -> None:
        """Add to a pod, and look at what it has then."""
        if not _is_pod(attributes):
            return
        spec = (attributes.document or {})["spec"]
        extra: list[Document] = []
        if attributes.operation == "CREATE":
            own = self._of_namespace(attributes, DEFAULTS)
            extra = [*(self._default if own is None else own)]
        if qos_class(spec) != "BestEffort":
            extra.append(MEMORY_PRESSURE)
        if extra:
            spec["tolerations"] = merged(spec.get("tolerations") or [], extra)
        self._check(attributes, spec)
        # Read back, a toleration without an operator has the default one.
        for toleration in spec.get("tolerations") or ():
            if toleration.get("key") and not toleration.get("operator"):
                toleration["operator"] = "Equal"

    async def validate(self, attributes: Attributes) -> None:
        """Refuse what others have added since."""
        if _is_pod(attributes):
            self._check(attributes, (attributes.document or {})["spec"])

    def _check(self, attributes: Attributes, spec: Document) -> None:
        tolerations = spec.get("tolerations")
        if not tolerations:
            return
        listed, scope = self._of_namespace(attributes, LISTED), "namespace"
        if listed is None:
            listed, scope = self._listed, "cluster"
        if listed and not all(is_within(toleration, listed) for toleration in tolerations):
            # Not a refusal but an error without a reason, as upstream.
            raise ApiError(
                "pod tolerations (possibly merged with namespace default tolerations) conflict "
                f"with its {scope} whitelist",
                code=500,
                reason="",
            )

    def _of_namespace(self, attributes: Attributes, annotation: str) -> list[Document] | None:
        """Return the tolerations in an annotation; None when there is no annotation."""
        namespace = self._reader.find(NAMESPACES, "", attributes.namespace)
        if namespace is None:
            raise refusals.not_found(NAMESPACES, attributes.namespace)
        text = (namespace["metadata"].get("annotations") or {}).get(annotation)
        if text is None:
            return None
        if not text:
            return []
        try:
            found = parse_json(text.encode())
        except JSONSyntaxError as error:
            raise ApiError(str(error), code=500, reason="") from error
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise ApiError(
                f"json: cannot unmarshal the annotation {annotation} into tolerations",
                code=500,
                reason="",
            )
        return found


def _is_pod(attributes: Attributes) -> bool:
    return not attributes.subresource and attributes.document is not None
