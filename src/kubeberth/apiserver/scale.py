"""Scale: how many replicas a workload wants and has, in a shape that all workloads share; pure.

Matches `pkg/registry/apps/*/storage` of Kubernetes 1.36.
"""

from __future__ import annotations

import json
from typing import Any

from kubeberth.api.custom.field_path import names_of, value_at
from kubeberth.api.custom.version import ScalePaths
from kubeberth.api.scheme import Resource
from kubeberth.api.selectors import from_label_selector
from kubeberth.api.validation.field_error import FieldError, invalid, invalid_error
from kubeberth.apiserver import refusals
from kubeberth.apiserver.objects import Document


def scale_of(resource: Resource, parent: Document) -> Document:
    """Return the Scale of a workload.

    Raises
    ------
    InternalError
        It is a custom one without replicas.
    """
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata = parent["metadata"]
    paths = scale_paths(resource)
    replicas = value_at(parent, paths.spec_replicas)
    if replicas is None and resource.custom is not None:
        raise refusals.internal(
            f"the spec replicas field {json.dumps(paths.spec_replicas)} does not exist"
        )
    status: dict[str, Any] = {"replicas": value_at(parent, paths.status_replicas) or 0}
    selector = value_at(parent, paths.selector) if paths.selector else None
    if resource.built_in_kind == "ReplicationController":  # whose selector is labels alone
        selector = {"matchLabels": selector or {}}
    if text := selector if isinstance(selector, str) else selector_text(selector):
        status["selector"] = text
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def scale_paths(resource: Resource) -> ScalePaths:
    """Return where a workload keeps what its Scale shows."""
    if resource.custom is not None and resource.custom.scale is not None:
        return resource.custom.scale
    return _SCALE_PATHS


# Of all workloads that are built in.
_SCALE_PATHS = ScalePaths(".spec.replicas", ".status.replicas", ".spec.selector")


def scaled(resource: Resource, name: str, parent: Document, scale: Document) -> Document:
    """Return a workload with the replicas of a Scale."""
    replicas = scale.get("spec", {}).get("replicas", 0)
    errors: list[FieldError] = []
    if replicas < 0:
        errors.append(invalid("spec.replicas", replicas, "must be greater than or equal to 0"))
    if errors:
        raise invalid_error("Scale.autoscaling", name, errors)
    *parts, last = names_of(scale_paths(resource).spec_replicas)
    place = parent
    for part in parts:
        place = place.setdefault(part, {})
    place[last] = replicas
    parent["metadata"]["resourceVersion"] = scale["metadata"].get("resourceVersion", "")
    return parent


def selector_text(selector: dict[str, Any] | None) -> str:
    """Return a label selector as text, sorted by key."""
    parts = []
    for requirement in from_label_selector(selector).requirements:
        key, values = requirement.key, ",".join(sorted(requirement.values))
        match requirement.operator:
            case "In" if len(requirement.values) == 1:
                text = f"{key}={values}"
            case "In":
                text = f"{key} in ({values})"
            case "NotIn" if len(requirement.values) == 1:
                text = f"{key}!={values}"
            case "NotIn":
                text = f"{key} notin ({values})"
            case "Exists":
                text = key
            case _:
                text = f"!{key}"
        parts.append((key, text))
    return ",".join(text for _, text in sorted(parts))
