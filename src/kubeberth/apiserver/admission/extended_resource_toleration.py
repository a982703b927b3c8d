"""ExtendedResourceToleration: pods that ask for a device tolerate the taint of nodes that have it.

Matches `plugin/pkg/admission/extendedresourcetoleration` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.scheme import PODS
from kubeberth.apiserver.admission.chain import Attributes, Plugin


class ExtendedResourceToleration(Plugin):
    """Adds one toleration for each extended resource that a pod asks for."""

    resources = (PODS,)

    async def admit(self, attributes: Attributes) -> None:
        """Add to new and changed pods."""
        pod = attributes.document
        if pod is None or attributes.subresource:
            return
        spec = pod["spec"]
        containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
        asked = {
            name
            for container in containers
            for name in (container.get("resources") or {}).get("requests") or ()
            if is_extended(name)
        }
        for name in sorted(asked):
            wanted = {"key": name, "operator": "Exists", "effect": "NoSchedule"}
            tolerations = spec.get("tolerations") or []
            if wanted not in tolerations:
                spec["tolerations"] = [*tolerations, wanted]


def is_extended(name: str) -> bool:
    """Return whether a resource is none of Kubernetes' own."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")
