"""PodNodeSelector: a namespace says on which nodes its pods run.

    Rule 1  The namespace's annotation, or without one the cluster's default, is added to the pod's
            node selector; a pod that wants something else for the same key is refused.
    Rule 2  What the configuration lists for a namespace is all that its pods may select.

Matches `plugin/pkg/admission/podnodeselector` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api.names import label_value_errors, qualified_name_errors
from kubeberth.api.scheme import NAMESPACES, PODS
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission.chain import Attributes, Plugin, Reader
from kubeberth.errors import ApiError

ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"
CLUSTER_DEFAULT = "clusterDefaultNodeSelector"
_SECTION = "podNodeSelectorPluginConfig"


class PodNodeSelector(Plugin):
    """Adds a namespace's node selector to new pods, and refuses those that contradict it.

    Parameters
    ----------
    configuration
        The plugin's own: selectors by namespace, and the cluster's default.
    """

    resources = (PODS,)

    def __init__(self, reader: Reader, configuration: Mapping[str, Any]) -> None:
        self._reader = reader
        self._selectors: Mapping[str, str] = configuration.get(_SECTION) or {}

    async def admit(self, attributes: Attributes) -> None:
        """Add to a new pod, after looking for contradictions."""
        if not _is_new_pod(attributes):
            return
        spec, wanted = (attributes.document or {})["spec"], self._of_namespace(attributes)
        selector = spec.get("nodeSelector") or {}
        if any(selector.get(key, value) != value for key, value in wanted.items()):
            raise attributes.forbid(
                "pod node label selector conflicts with its namespace node label selector"
            )
        if wanted:
            spec["nodeSelector"] = {**wanted, **selector}
        self._check_list(attributes)

    async def validate(self, attributes: Attributes) -> None:
        """Refuse what others have added since."""
        if not _is_new_pod(attributes):
            return
        selector = (attributes.document or {})["spec"].get("nodeSelector") or {}
        wanted = self._of_namespace(attributes)
        if any(selector.get(key, value) != value for key, value in wanted.items()):
            raise attributes.forbid(
                "pod node label selector conflicts with its namespace node label selector"
            )
        self._check_list(attributes)

    def _of_namespace(self, attributes: Attributes) -> dict[str, str]:
        namespace = self._reader.find(NAMESPACES, "", attributes.namespace)
        if namespace is None:
            raise refusals.not_found(NAMESPACES, attributes.namespace)
        annotations = namespace["metadata"].get("annotations") or {}
        text = annotations.get(ANNOTATION, self._selectors.get(CLUSTER_DEFAULT, ""))
        return parse_selector(text)

    def _check_list(self, attributes: Attributes) -> None:
        allowed = parse_selector(self._selectors.get(attributes.namespace, ""))
        selector = (attributes.document or {})["spec"].get("nodeSelector") or {}
        if allowed and any(allowed.get(key) != value for key, value in selector.items()):
            raise attributes.forbid(
                "pod node label selector labels conflict with its namespace whitelist"
            )


def _is_new_pod(attributes: Attributes) -> bool:
    return not attributes.subresource and attributes.operation == "CREATE"


def parse_selector(text: str) -> dict[str, str]:
    """Return the labels that `key=value,...` asks for.

    Raises
    ------
    ApiError
        It is no such text; a 500 without a reason, as upstream.
    """
    labels: dict[str, str] = {}
    if not text:
        return labels
    for part in text.split(","):
        words = part.split("=")
        if len(words) != 2:
            raise ApiError(f"invalid selector: [{' '.join(words)}]", code=500, reason="")
        key, value = words[0].strip(), words[1].strip()
        for wrong, errors in ((key, qualified_name_errors(key)),
                              (value, label_value_errors(value))):  # fmt: skip
            if errors:
                why = "; ".join(errors)
                raise ApiError(f'<nil>: Invalid value: "{wrong}": {why}', code=500, reason="")
        labels[key] = value
    return labels
