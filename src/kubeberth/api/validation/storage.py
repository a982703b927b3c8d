"""Claims, volumes and classes, as far as placing pods depends on what they say.

Matches `pkg/apis/core/validation` and `pkg/apis/storage/validation` of Kubernetes 1.36 in these
fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api.quantity import parse_quantity
from kubeberth.api.validation.field_error import FieldError, invalid, not_supported, required
from kubeberth.api.validation.metadata import validate_metadata
from kubeberth.api.validation.selectors import validate_label_selector, validate_node_selector
from kubeberth.api.validation.workloads import validate_not_negative

_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
_NOT_POSITIVE = "must be greater than zero"

Document = Mapping[str, Any]


def validate_volume_claim(claim: Document) -> list[FieldError]:
    """Return the faults of a new claim."""
    spec = claim.get("spec") or {}
    errors = validate_metadata(claim.get("metadata") or {})
    errors += _validate_access_modes(spec)
    errors += validate_label_selector(spec.get("selector"), "spec.selector")
    requests = (spec.get("resources") or {}).get("requests") or {}
    return errors + _validate_size(requests, "spec.resources.requests", "spec.resources[storage]")


def validate_persistent_volume(volume: Document) -> list[FieldError]:
    """Return the faults of a new volume."""
    spec = volume.get("spec") or {}
    errors = validate_metadata(volume.get("metadata") or {}, namespaced=False)
    errors += _validate_access_modes(spec)
    errors += _validate_size(spec.get("capacity") or {}, "spec.capacity", "spec.capacity")
    if (affinity := spec.get("nodeAffinity")) is not None:
        path = "spec.nodeAffinity.required"
        reach = affinity.get("required")
        errors += validate_node_selector(reach, path) if reach else [required(path)]
    return errors


def validate_storage_class(storage_class: Document) -> list[FieldError]:
    """Return the faults of a new storage class."""
    errors = validate_metadata(storage_class.get("metadata") or {}, namespaced=False)
    if not storage_class.get("provisioner"):
        errors.append(required("provisioner"))
    if (mode := storage_class.get("volumeBindingMode")) not in _BINDING_MODES:
        errors.append(not_supported("volumeBindingMode", mode, _BINDING_MODES))
    return errors


def validate_storage_capacity(capacity: Document) -> list[FieldError]:
    """Return the faults of a new report of capacity."""
    errors = validate_metadata(capacity.get("metadata") or {})
    errors += validate_label_selector(capacity.get("nodeTopology"), "nodeTopology")
    if not capacity.get("storageClassName"):
        errors.append(required("storageClassName"))
    for field in ("capacity", "maximumVolumeSize"):
        amount = capacity.get(field)
        if amount is not None and parse_quantity(amount).nanos < 0:
            errors.append(invalid(field, amount, "must be greater than or equal to 0"))
    return errors


def validate_csi_node(node: Document) -> list[FieldError]:
    """Return the faults of what a node knows of drivers."""
    errors = validate_metadata(node.get("metadata") or {}, namespaced=False)
    for index, driver in enumerate((node.get("spec") or {}).get("drivers") or []):
        here = f"spec.drivers[{index}]"
        if not driver.get("name"):
            errors.append(required(f"{here}.name"))
        count = (driver.get("allocatable") or {}).get("count") or 0
        errors += validate_not_negative(count, f"{here}.allocatable.count")
    return errors


def _validate_access_modes(spec: Document) -> list[FieldError]:
    modes = spec.get("accessModes") or []
    if not modes:
        return [required("spec.accessModes", "at least 1 access mode is required")]
    return [
        not_supported("spec.accessModes", mode, _ACCESS_MODES)
        for mode in modes
        if mode not in _ACCESS_MODES
    ]


def _validate_size(amounts: Mapping[str, str], path: str, missing: str) -> list[FieldError]:
    size = amounts.get("storage")
    if size is None:
        return [required(missing)]
    if parse_quantity(size).nanos <= 0:
        return [invalid(f"{path}[storage]", size, _NOT_POSITIVE)]
    return []
