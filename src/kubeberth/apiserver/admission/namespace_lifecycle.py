"""NamespaceLifecycle: no new content without a living namespace; three namespaces stay.

Matches `k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.scheme import NAMESPACES
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission.chain import Attributes, Plugin, Reader

IMMORTAL = frozenset(("default", "kube-system", "kube-public"))


class NamespaceLifecycle(Plugin):
    """Guards creates by their namespace, and namespaces that must not go."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def admit(self, attributes: Attributes) -> None:
        """Refuse by the state of the namespace."""
        resource = attributes.resource
        if attributes.operation == "DELETE":
            if resource is NAMESPACES and attributes.name in IMMORTAL:
                raise attributes.forbid("this namespace may not be deleted")
            return
        if attributes.operation != "CREATE" or not resource.namespaced:
            return
        name = attributes.namespace
        namespace = self._reader.find(NAMESPACES, "", name)
        if namespace is None:
            raise refusals.not_found(NAMESPACES, name)
        if namespace.get("status", {}).get("phase") == "Terminating":
            raise attributes.forbid(
                f"unable to create new content in namespace {name} because it is being terminated",
                [
                    {
                        "reason": "NamespaceTerminating",
                        "message": f"namespace {name} is being terminated",
                        "field": "metadata.namespace",
                    }
                ],
            )
