"""Defaults of what a cluster is made of besides pods, workloads, volumes and services."""

from __future__ import annotations

import base64

from kubeberth.api.defaults.admission import WEBHOOK_PORT
from kubeberth.api.defaults.pods import Document

_RBAC = "rbac.authorization.k8s.io"


def default_namespace(namespace: Document) -> None:
    """Set the defaults of a namespace: the label that selects it by its name."""
    meta = namespace.setdefault("metadata", {})
    if name := meta.get("name"):
        meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": name}
    namespace.setdefault("status", {}).setdefault("phase", "Active")


def default_node(node: Document) -> None:
    """Set the defaults of a node: it can give away all it has."""
    spec = node.setdefault("spec", {})
    ranges = spec.get("podCIDRs") or []
    # Two spellings of the first range; the old one rules.
    if (cidr := spec.get("podCIDR", "")) and cidr not in ranges[:1]:
        spec["podCIDRs"] = [cidr]
    elif ranges:
        spec["podCIDR"] = ranges[0]
    status = node.setdefault("status", {})
    if "capacity" in status and "allocatable" not in status:
        status["allocatable"] = dict(status["capacity"])


def default_secret(secret: Document) -> None:
    """Set the defaults of a secret, and store what was given as text."""
    secret.setdefault("type", "Opaque")
    if texts := secret.pop("stringData", None):
        data = secret.setdefault("data", {})
        data |= {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


def default_priority_class(priority_class: Document) -> None:
    """Set the defaults of a priority class."""
    priority_class.setdefault("preemptionPolicy", "PreemptLowerPriority")


def default_lease(lease: Document) -> None:
    """Leave out what only coordinated leader election has, whose feature gate is off."""
    for field in ("strategy", "preferredHolder"):
        lease.get("spec", {}).pop(field, None)


def default_limit_range(limit_range: Document) -> None:
    """Set the defaults of a limit range: for containers, one bound follows from another."""
    for item in (limit_range.get("spec") or {}).get("limits") or ():
        if item.get("type") != "Container":
            continue
        limits = {**(item.get("max") or {}), **(item.get("default") or {})}
        requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
        for field, amounts in (("default", limits), ("defaultRequest", requests)):
            if amounts:
                item[field] = amounts


def default_role_binding(binding: Document) -> None:
    """Set the defaults of a role binding, in a namespace or not."""
    reference = binding.setdefault("roleRef", {})
    reference["apiGroup"] = reference.get("apiGroup") or _RBAC
    for subject in binding.get("subjects") or ():
        if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = _RBAC


def default_custom_resource_definition(definition: Document) -> None:
    """Set the names that follow from the kind, and that versions are not converted."""
    spec = definition.setdefault("spec", {})
    names = spec.setdefault("names", {})
    kind = names.get("kind") or ""
    if not names.get("singular"):
        names["singular"] = kind.lower()
    if not names.get("listKind") and kind:
        names["listKind"] = f"{kind}List"
    conversion = spec.setdefault("conversion", {"strategy": "None"})
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None:
        service.setdefault("port", WEBHOOK_PORT)
