"""Namespace deletion: empty it, then let it go.

Matches Kubernetes 1.36 (`pkg/controller/namespace`).
"""

from __future__ import annotations

from collections.abc import Iterable

from kubeberth.api.core import Namespace
from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import NAMESPACES, RESOURCES, Resource
from kubeberth.controllers.action import (
    Action,
    DeleteContent,
    Failure,
    Outcome,
    PatchObject,
    UpdateObject,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.conditions import Conditions
from kubeberth.controllers.reconciler import Reconciler

FINALIZER = "kubernetes"

CONTENT = tuple(
    resource
    for resource in RESOURCES
    if resource.namespaced and not resource.stored_as and {"list", "delete"} <= {*resource.verbs}
)

# (type, reason, message) while all goes well; ContentRemaining is the one that changes.
FINE = (
    (
        "NamespaceDeletionDiscoveryFailure",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
)


def reconcile(
    namespace: Namespace,
    failure: Failure | None,
    now: float,
    content: tuple[Resource, ...] = CONTENT,
) -> Outcome:
    """Return what a terminating namespace needs.

    Parameters
    ----------
    content
        All resources whose objects may be in it.
    """
    if namespace.metadata.deletion_timestamp is None or FINALIZER not in namespace.spec.finalizers:
        return Outcome()
    me = ref_of(NAMESPACES, namespace)
    finalizers = [entry for entry in namespace.spec.finalizers if entry != FINALIZER]
    body = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": me.name, "uid": me.uid},
        "spec": {"finalizers": finalizers},
    }
    return Outcome(
        (
            *_explain(namespace, failure, now),
            DeleteContent(me.name, content),
            UpdateObject(me, body, sub="finalize"),
        )
    )


def _explain(namespace: Namespace, failure: Failure | None, now: float) -> list[Action]:
    """Say in the conditions what the namespace still waits for."""
    if failure is None or failure.reason != "SomeResourcesRemain":
        return []
    conditions = Conditions(namespace.status.conditions, now)
    for type_, reason, message in FINE:
        conditions.set(type_, "False", reason, message)
    conditions.set("NamespaceContentRemaining", "True", failure.reason, failure.message)
    message = "All content-preserving finalizers finished"
    conditions.set("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", message)
    if not conditions.changed:
        return []
    patch = {"status": {"conditions": conditions.to_document()}}
    return [PatchObject(ref_of(NAMESPACES, namespace), patch, sub="status")]


class NamespaceReconciler(Reconciler):
    """Feeds `reconcile` from the cache; keys are namespaces."""

    name = "namespace-controller"
    account = "namespace-controller"
    resource = NAMESPACES
    follows = None

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the namespace that lost an object while it goes."""
        if new is None and old is not None and old.metadata.namespace:
            namespace = cache.namespace(old.metadata.namespace)
            if namespace is not None and namespace.metadata.deletion_timestamp is not None:
                return [namespace.metadata.name]
        return []

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the namespace needs."""
        namespace = cache.namespace(key)
        if namespace is None:
            return Outcome()
        custom = (resource for resource in cache.kinds.defined if resource.namespaced)
        return reconcile(namespace, failure, now, (*CONTENT, *custom))
