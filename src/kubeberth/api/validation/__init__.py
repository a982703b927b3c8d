"""Validation: what keeps a document from being stored, as a list of field errors.

One file per area, which says what the rules for its resources are; this one knows which area a
resource belongs to, and reads it when it is needed: most commands are about few of them. All faults
are found, not just the first, in upstream's order. Documents come in canonical form
(`codec.decode`) and with their defaults set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from kubeberth.api.scheme import Resource
from kubeberth.api.validation.field_error import FieldError, invalid_error
from kubeberth.api.validation.metadata import (
    path_segment_errors,
    validate_labels_update,
    validate_metadata,
    validate_metadata_update,
)
from kubeberth.api.validation.rules import Rules

__all__ = [
    "FieldError",
    "invalid_error",
    "validate",
    "validate_kind",
    "validate_update",
]

Document = Mapping[str, Any]

# By area, the resources whose objects have rules besides those of all.
_AREAS: Mapping[str, tuple[str, ...]] = {
    "access": (
        "roles.rbac.authorization.k8s.io",
        "clusterroles.rbac.authorization.k8s.io",
        "rolebindings.rbac.authorization.k8s.io",
        "clusterrolebindings.rbac.authorization.k8s.io",
    ),
    "admission_policies": (
        "mutatingadmissionpolicies.admissionregistration.k8s.io",
        "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    ),
    "certificates": ("certificatesigningrequests.certificates.k8s.io",),
    "cluster": (
        "namespaces",
        "leases.coordination.k8s.io",
        "priorityclasses.scheduling.k8s.io",
        "bindings",
    ),
    "config": ("configmaps", "secrets", "serviceaccounts"),
    "definitions": ("customresourcedefinitions.apiextensions.k8s.io",),
    "events": ("events", "events.events.k8s.io"),
    "jobs": ("jobs.batch", "cronjobs.batch"),
    "network": (
        "horizontalpodautoscalers.autoscaling",
        "horizontalpodautoscalers.v1.autoscaling",
        "endpointslices.discovery.k8s.io",
        "ingresses.networking.k8s.io",
        "ingressclasses.networking.k8s.io",
        "networkpolicies.networking.k8s.io",
    ),
    "nodes": ("nodes",),
    "pod_parts": ("pods",),
    "policy": (
        "poddisruptionbudgets.policy",
        "limitranges",
        "resourcequotas",
        "runtimeclasses.node.k8s.io",
    ),
    "resource_claims": (
        "deviceclasses.resource.k8s.io",
        "resourceclaims.resource.k8s.io",
        "resourceclaimtemplates.resource.k8s.io",
    ),
    "resource_slices": ("resourceslices.resource.k8s.io",),
    "services": ("services",),
    "storage": (
        "persistentvolumes",
        "persistentvolumeclaims",
        "storageclasses.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "csidrivers.storage.k8s.io",
        "csistoragecapacities.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
    ),
    "webhooks": (
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
    ),
    "workloads": (
        "deployments.apps",
        "replicasets.apps",
        "replicationcontrollers",
        "statefulsets.apps",
        "daemonsets.apps",
    ),
}

_AREA_OF = {key: area for area, keys in _AREAS.items() for key in keys}
_rules: dict[str, Rules] = {}


def _rules_of(resource: Resource) -> Rules | None:
    """Return the rules for a resource's objects; None when there are but those of all."""
    key = resource.rules_key
    found = _rules.get(key)
    if found is None and (area := _AREA_OF.get(key)) is not None:
        _rules.update(import_module(f"{__name__}.{area}").RULES)
        found = _rules[key]
    return found


def validate(resource: Resource, document: Document) -> list[FieldError]:
    """Return the faults of a new object; an empty list when it may be stored."""
    if resource.custom is not None:
        from kubeberth.api.validation import custom_objects

        return custom_objects.validate_object(resource, document)
    meta = document.get("metadata") or {}
    rules = _rules_of(resource)
    if rules is None:
        return validate_metadata(meta, namespaced=resource.namespaced)
    # What upstream checks of every kind, after the kind's own rules: some leave the metadata to it.
    return rules.validate(document) or validate_metadata(
        meta, path_segment_errors, namespaced=resource.namespaced
    )


def validate_kind(kind: str, document: Document) -> list[FieldError]:
    """Return the faults of a subresource's body: a Binding, a Scale."""
    from kubeberth.api.validation.cluster import validate_binding, validate_scale

    of_kind: Mapping[str, Callable[[Document], list[FieldError]]]
    of_kind = {"Binding": validate_binding, "Scale": validate_scale, "Eviction": lambda _: []}
    return of_kind[kind](document)


def validate_update(
    resource: Resource, new: Document, old: Document, subresource: str = ""
) -> list[FieldError]:
    """Return what of a change is not allowed; an empty list when it may be stored.

    Parameters
    ----------
    new, old
        Whole objects. For a subresource `new` has the other parts taken from `old`.
    subresource
        The part through which the object is changed, such as `status`; empty for the whole.
    """
    if resource.custom is not None:
        from kubeberth.api.validation import custom_objects

        return custom_objects.validate_object_update(resource, new, old)
    metadata = new.get("metadata") or {}, old.get("metadata") or {}
    # What upstream checks of every kind, before the kind's own rules look at it again.
    errors = validate_metadata_update(*metadata) + validate_labels_update(*metadata)
    rules = _rules_of(resource)
    if rules is None:
        return errors
    own = rules.of_change(subresource)
    return errors + own(new, old) if own else errors
