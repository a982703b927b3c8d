"""OwnerReferencesPermissionEnforcement: who ties an object to an owner may delete it.

An owner that goes takes its dependents along, and one whose deletion a dependent may block stays
until that is gone: whoever says so must have the right to bring that about.
Matches `plugin/pkg/admission/gc` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Callable

from kubeberth.api.scheme import PODS, Resource
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin
from kubeberth.apiserver.auth.rbac import Authorizer, Decision
from kubeberth.apiserver.catalogue import Catalogue
from kubeberth.apiserver.route import Query, RequestInfo


class OwnerReferencesPermissionEnforcement(Plugin):
    """Refuses owners that the writer could not bring about the end of."""

    def __init__(self, authorizer: Authorizer, catalogue: Callable[[], Catalogue]) -> None:
        self._authorizer = authorizer
        self._catalogue = catalogue

    async def validate(self, attributes: Attributes) -> None:
        """Look at the owners of a new or changed object."""
        if attributes.document is None:
            return
        if attributes.resource is PODS and attributes.subresource in ("status", "binding"):
            return
        new, old = _owners(attributes.document), _owners(attributes.old)
        if new == old:
            return
        # A new object may have owners: who can create it could leave them out.
        if attributes.operation != "CREATE":
            self._check_delete(attributes)
        for owner in _blocking(new, old):
            self._check_finalizers(attributes, owner)

    def _check_delete(self, attributes: Attributes) -> None:
        decision = self._decide(
            attributes, "delete", attributes.resource, attributes.name, attributes.namespace
        )
        if not decision.is_allowed:
            raise attributes.forbid(
                f"cannot set an ownerRef on a resource you can't delete: {decision.reason}, <nil>"
            )

    def _check_finalizers(self, attributes: Attributes, owner: Document) -> None:
        version, kind = owner.get("apiVersion", ""), owner.get("kind", "")
        resource = self._resource_of(version, kind)
        if resource is None:
            raise attributes.forbid(
                "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for "
                f'APIVersion {version} Kind {kind}: no matches for kind "{kind}" in version '
                f'"{version}"'
            )
        namespace = attributes.namespace if resource.namespaced else ""
        name = owner.get("name", "")
        decision = self._decide(attributes, "update", resource, name, namespace, "finalizers")
        if not decision.is_allowed:
            raise attributes.forbid(
                "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't "
                f"set finalizers on: {decision.reason}, <nil>"
            )

    def _resource_of(self, version: str, kind: str) -> Resource | None:
        for resource in self._catalogue().resources:
            if (resource.api_version, resource.kind) == (version, kind):
                return resource
        return None

    def _decide(
        self,
        attributes: Attributes,
        verb: str,
        resource: Resource,
        name: str,
        namespace: str,
        sub: str = "",
    ) -> Decision:
        info = RequestInfo(
            method="",
            path="",
            query=Query(""),
            verb=verb,
            group=resource.group,
            version=resource.version,
            plural=resource.plural,
            namespace=namespace,
            name=name,
            subresource=sub,
        )
        return self._authorizer.decide(attributes.user, info)


def _owners(document: Document | None) -> list[Document]:
    return ((document or {}).get("metadata") or {}).get("ownerReferences") or []


def _blocking(new: list[Document], old: list[Document]) -> list[Document]:
    """Return the owners that could not be deleted before the object, and could be until now."""
    before = {owner.get("uid") for owner in old if owner.get("blockOwnerDeletion")}
    return [o for o in new if o.get("blockOwnerDeletion") and o.get("uid") not in before]
