"""Changes through a part of a pod: its ephemeral containers, its resources.

Matches `ValidatePodEphemeralContainersUpdate` and `ValidatePodResize` in
`pkg/apis/core/validation` of Kubernetes 1.36. What a part does not reach is as it was before these
rules look at it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kubeberth.api.qos import qos_class
from kubeberth.api.validation.field_error import FieldError, forbidden, invalid
from kubeberth.api.validation.internal_form import difference, ephemeral_container_as_shown
from kubeberth.api.validation.metadata import validate_metadata_update
from kubeberth.api.validation.pods import (
    validate_metadata_and_spec,
    validate_pod,
    validate_pod_status_update,
    validate_pod_update,
)
from kubeberth.api.validation.rules import Rules

MIRROR = "kubernetes.io/config.mirror"
_RESIZABLE = ("cpu", "memory")
_CONTAINER_LISTS = ("containers", "initContainers")
_ONLY_CPU_AND_MEMORY = "only cpu and memory resources are mutable"
_ONLY_OF_INIT = "only cpu and memory resources for init or sidecar containers are mutable"
_RESTARTED_INIT = (
    "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
)

Document = Mapping[str, Any]


def validate_ephemeral_containers_update(new: Document, old: Document) -> list[FieldError]:
    """Return what of a change of the ephemeral containers is not allowed: all but additions."""
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [forbidden("", "static pods do not support ephemeral containers")]
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    errors += validate_metadata_and_spec(new)
    path = "spec.ephemeralContainers"
    found = {c.get("name", ""): c for c in new["spec"].get("ephemeralContainers") or ()}
    for container in old["spec"].get("ephemeralContainers") or ():
        name = json.dumps(container["name"])
        now = found.get(container["name"])
        if now is None:
            detail = f"existing ephemeral containers {name} may not be removed\n"
            errors.append(forbidden(path, detail))
        elif now != container:
            shown = difference(*map(ephemeral_container_as_shown, (container, now)))
            detail = f"existing ephemeral containers {name} may not be changed\n{shown}"
            errors.append(forbidden(path, detail))
    return errors


def validate_resize(new: Document, old: Document) -> list[FieldError]:
    """Return what of a resize is not allowed: all but other amounts of cpu and memory."""
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [forbidden("", "static pods cannot be resized")]
    spec, before = new["spec"], old["spec"]
    if (before.get("os") or {}).get("name") == "windows":
        return [forbidden("", "windows pods cannot be resized")]
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    errors += validate_metadata_and_spec(new)
    status = old.get("status") or {}
    if (status.get("qosClass") or qos_class(before)) != qos_class(spec):
        told = (new.get("status") or {}).get("qosClass", "")
        detail = "Pod QOS Class may not change as a result of resizing"
        errors.append(invalid("spec", told, detail))
    if not _tells_resources(status):
        errors.append(forbidden("spec", "Pod running on node without support for resize"))
    errors += _validate_pod_level(spec.get("resources"), before.get("resources"))
    if wrong := _validate_order(spec, before):
        return errors + wrong
    for field in ("initContainers", "containers"):
        errors += _validate_kept(spec, before, field)
    for container, was in _pairs(spec, before, "containers"):
        if _resized_back(container, was) != was:
            errors.append(forbidden("spec", _ONLY_CPU_AND_MEMORY))
    for index, (container, was) in enumerate(_pairs(spec, before, "initContainers")):
        errors += _validate_init(container, was, f"spec.initContainers[{index}]")
    return errors


def _tells_resources(status: Document) -> bool:
    """Return whether the pod's node knows about resizes, as far as its status tells."""
    for container in status.get("containerStatuses") or ():
        if (container.get("state") or {}).get("running") is not None:
            return container.get("resources") is not None
    return True


def _validate_order(spec: Document, before: Document) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in _CONTAINER_LISTS:
        new, old = spec.get(field) or (), before.get(field) or ()
        if len(new) != len(old):
            detail = f"{field} may not be added or removed on resize"
            errors.append(forbidden(f"spec.{field}", detail))
            continue
        errors += [
            forbidden(
                f"spec.{field}[{index}].name", f"{field} may not be renamed or reordered on resize"
            )
            for index, (container, was) in enumerate(zip(new, old, strict=True))
            if container.get("name") != was.get("name")
        ]
    return errors


def _validate_kept(spec: Document, before: Document, field: str) -> list[FieldError]:
    """Return the amounts that are asked for no more."""
    errors: list[FieldError] = []
    for index, (container, was) in enumerate(_pairs(spec, before, field)):
        new, old = container.get("resources") or {}, was.get("resources") or {}
        path = f"spec.{field}[{index}].resources"
        errors += _validate_none_removed(new, old, path, "resource")
    return errors


def _validate_none_removed(new: Document, old: Document, path: str, what: str) -> list[FieldError]:
    return [
        forbidden(f"{path}.{bound}", f"{what} {bound} cannot be removed")
        for bound in ("requests", "limits")
        if not (old.get(bound) or {}).keys() <= (new.get(bound) or {}).keys()
    ]


def _validate_pod_level(new: Document | None, old: Document | None) -> list[FieldError]:
    if not any(
        (resources or {}).get(b) for resources in (new, old) for b in ("requests", "limits")
    ):
        return []
    path = "spec.resources"
    if new is None:
        return [forbidden(path, "pod-level resources cannot be removed")]
    errors = _validate_none_removed(new, old or {}, path, "pod-level resource")
    if _amounts_back(new, old or {}) != _amounts_back(old or {}, old or {}):
        errors.append(forbidden("spec", f"{_ONLY_CPU_AND_MEMORY} at pod-level"))
    return errors


def _validate_init(container: Document, was: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    back = _resized_back(container, was)
    if back != was:
        errors.append(forbidden(path, _ONLY_OF_INIT))
    is_sidecar = container.get("restartPolicy") == "Always"
    policies = container.get("resizePolicy") or ()
    restarts = any(p.get("restartPolicy") == "RestartContainer" for p in policies)
    if container != was and not is_sidecar and restarts:
        errors.append(forbidden(path, _RESTARTED_INIT))
    return errors


def _pairs(spec: Document, before: Document, field: str) -> list[tuple[Document, Document]]:
    return list(zip(spec.get(field) or (), before.get(field) or (), strict=True))


def _resized_back(container: Document, was: Document) -> dict[str, Any]:
    """Return a container with its old amounts of what may be resized.

    Claims of devices are lost on the way, as upstream: a container that has some is never resized.
    """
    new, old = container.get("resources") or {}, was.get("resources") or {}
    return {**container, "resources": _amounts_back(new, old)}


def _amounts_back(new: Document, old: Document) -> dict[str, dict[str, str]]:
    amounts = {}
    for bound in ("limits", "requests"):
        mine, theirs = new.get(bound) or {}, old.get(bound) or {}
        kept = {name: amount for name, amount in mine.items() if name not in _RESIZABLE}
        kept |= {name: theirs[name] for name in _RESIZABLE if name in theirs}
        if kept:
            amounts[bound] = kept
    return amounts


RULES = {
    "pods": Rules(
        validate_pod,
        validate_pod_update,
        validate_pod_status_update,
        of_parts={
            "ephemeralcontainers": validate_ephemeral_containers_update,
            "resize": validate_resize,
        },
    ),
}
"""By resource."""
