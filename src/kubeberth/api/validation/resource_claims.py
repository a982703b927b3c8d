"""Claims of devices, the templates that they are made from, and classes of devices."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import partial
from typing import Any

from kubeberth.api import names
from kubeberth.api.validation.device_parts import (
    MAX_CONFIG,
    MAX_SELECTORS,
    Item,
    name_of,
    validate_binding_conditions,
    validate_configuration,
    validate_free_object,
    validate_fully_qualified_name,
    validate_list,
    validate_name,
    validate_pool_name,
    validate_selector,
    validate_toleration,
)
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from kubeberth.api.validation.internal_form import resource_as_shown
from kubeberth.api.validation.metadata import (
    IMMUTABLE,
    validate_annotations,
    validate_labels,
    validate_metadata,
    validate_metadata_update,
)
from kubeberth.api.validation.resources import is_extended
from kubeberth.api.validation.rules import Rules
from kubeberth.api.validation.selectors import validate_node_selector
from kubeberth.api.validation.storage import validate_driver_name

_MAX_REQUESTS = 32
_MAX_ALTERNATIVES = 8
_MAX_CONSTRAINTS = 32
_MAX_RESULTS = 32
_MAX_RESERVED = 256
_MAX_CONDITIONS = 8
_MAX_INTERFACE_NAME = 256
_MAX_HARDWARE_ADDRESS = 128
_MAX_ADDRESSES = 16
_MODES = ("All", "ExactCount")
_SOURCES = ("FromClaim", "FromClass")
_ONE_KIND = "exactly one of `exactly` or `firstAvailable` is required"
_BAD_REFERENCE = (
    "must be the name of a request in the claim or the name of a request and a subrequest "
    "separated by '/'"
)
# The requests of a claim by name, each with the names of its alternatives.
_Names = Mapping[str, frozenset[str]]


def validate_claim(claim: Item) -> list[FieldError]:
    """Return the faults of a claim."""
    return validate_metadata(claim.get("metadata") or {}) + _validate_spec(
        claim.get("spec") or {}, "spec"
    )


def validate_claim_update(new: Item, old: Item) -> list[FieldError]:
    """Return what of a claim's update is not allowed: its spec stays."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    return errors + _validate_same_spec("ResourceClaimSpec", new, old)


def validate_template(template: Item) -> list[FieldError]:
    """Return the faults of a template of claims."""
    errors = validate_metadata(template.get("metadata") or {})
    spec = template.get("spec") or {}
    metadata = spec.get("metadata") or {}
    errors += validate_annotations(metadata.get("annotations"), "spec.metadata.annotations")
    errors += validate_labels(metadata.get("labels"), "spec.metadata.labels")
    return errors + _validate_spec(spec.get("spec") or {}, "spec.spec")


def validate_template_update(new: Item, old: Item) -> list[FieldError]:
    """Return what of a template's update is not allowed: its spec stays."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    return errors + _validate_same_spec("ResourceClaimTemplateSpec", new, old)


def _validate_same_spec(kind: str, new: Item, old: Item) -> list[FieldError]:
    spec = new.get("spec") or {}
    if spec == (old.get("spec") or {}):
        return []
    return [invalid("spec", resource_as_shown(kind, spec), IMMUTABLE)]


def validate_class(device_class: Item) -> list[FieldError]:
    """Return the faults of a class of devices."""
    errors = validate_metadata(device_class.get("metadata") or {}, namespaced=False)
    spec = device_class.get("spec") or {}
    selectors, config = spec.get("selectors"), spec.get("config")
    errors += validate_list(selectors, MAX_SELECTORS, validate_selector, "spec.selectors")
    errors += validate_list(config, MAX_CONFIG, validate_configuration, "spec.config")
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended(name):
        detail = "must be a valid extended resource name"
        errors.append(invalid("spec.extendedResourceName", name, detail))
    return errors


def validate_class_update(new: Item, old: Item) -> list[FieldError]:
    """Return what of a class's update is not allowed."""
    return validate_metadata_update(new["metadata"], old["metadata"]) + validate_class(new)


def _validate_spec(spec: Item, path: str) -> list[FieldError]:
    """Return the faults of what a claim asks for."""
    devices, here = spec.get("devices") or {}, f"{path}.devices"
    known = _request_names(devices)
    errors = validate_list(
        devices.get("requests"), _MAX_REQUESTS, _validate_request, f"{here}.requests", name_of
    )
    errors += validate_list(
        devices.get("constraints"),
        _MAX_CONSTRAINTS,
        partial(_validate_constraint, known=known),
        f"{here}.constraints",
    )
    return errors + validate_list(
        devices.get("config"),
        MAX_CONFIG,
        partial(_validate_request_configuration, known=known),
        f"{here}.config",
    )


def _request_names(devices: Item) -> _Names:
    return {
        name_of(request): frozenset(map(name_of, request.get("firstAvailable") or ()))
        for request in devices.get("requests") or ()
    }


def _validate_request(request: Item, path: str) -> list[FieldError]:
    errors = validate_name(name_of(request), f"{path}.name")
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable")
    if exactly is None and not alternatives:
        return [*errors, required(path, _ONE_KIND)]
    if exactly is not None and alternatives:
        return [*errors, invalid(path, None, f"{_ONE_KIND}, but multiple fields are set")]
    if exactly is not None:
        return errors + _validate_wish(exactly, f"{path}.exactly")
    here = f"{path}.firstAvailable"
    return errors + validate_list(
        alternatives, _MAX_ALTERNATIVES, _validate_alternative, here, name_of
    )


def _validate_alternative(request: Item, path: str) -> list[FieldError]:
    return validate_name(name_of(request), f"{path}.name") + _validate_wish(request, path)


def _validate_wish(request: Item, path: str) -> list[FieldError]:
    """Return the faults of one kind of device that is asked for."""
    name, here = request.get("deviceClassName", ""), f"{path}.deviceClassName"
    errors = each_invalid(here, name, names.dns1123_subdomain_errors(name) if name else ())
    if not name:
        errors.append(required(here))
    here = f"{path}.selectors"
    errors += validate_list(request.get("selectors"), MAX_SELECTORS, validate_selector, here)
    errors += _validate_mode(request.get("allocationMode", ""), request.get("count", 0), path)
    for index, toleration in enumerate(request.get("tolerations") or ()):
        errors += validate_toleration(toleration, f"{path}.tolerations[{index}]")
    return errors


def _validate_mode(mode: str, count: int, path: str) -> list[FieldError]:
    if mode not in _MODES:
        return [not_supported(f"{path}.allocationMode", mode, _MODES)]
    if mode == "All" and count:
        detail = "must not be specified when allocationMode is 'All'"
        return [invalid(f"{path}.count", count, detail)]
    if mode == "ExactCount" and count <= 0:
        return [invalid(f"{path}.count", count, "must be greater than zero")]
    return []


def _validate_constraint(constraint: Item, path: str, known: _Names) -> list[FieldError]:
    errors = _validate_references(constraint, path, known)
    for field in ("matchAttribute", "distinctAttribute"):
        if (name := constraint.get(field)) is not None:
            return errors + validate_fully_qualified_name(name, f"{path}.{field}")
    # The end of it is upstream's doing.
    detail = (
        'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields '
        "are set"
    )
    return [*errors, required(path, detail)]


def _validate_request_configuration(config: Item, path: str, known: _Names) -> list[FieldError]:
    return _validate_references(config, path, known) + validate_configuration(config, path)


def _validate_references(holder: Item, path: str, known: _Names) -> list[FieldError]:
    """Return the faults of a list of a claim's requests, by name."""
    return validate_list(
        holder.get("requests"),
        _MAX_REQUESTS,
        partial(_validate_reference, known=known),
        f"{path}.requests",
        str,
    )


def _validate_reference(reference: str, path: str, known: _Names) -> list[FieldError]:
    name, *rest = reference.split("/")
    if len(rest) > 1:
        return [invalid(path, reference, _BAD_REFERENCE)]
    errors = validate_name(name, path)
    for alternative in rest:
        errors += validate_name(alternative, path)
    if name not in known or not known[name].issuperset(rest):
        errors.append(invalid(path, reference, _BAD_REFERENCE))
    return errors


def validate_claim_status(new: Item, old: Item) -> list[FieldError]:
    """Return what of a claim's status is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    status, before = new.get("status") or {}, old.get("status") or {}
    allocation, had = status.get("allocation"), before.get("allocation")
    reserved = status.get("reservedFor") or []
    errors += validate_list(
        reserved, _MAX_RESERVED, _validate_consumer, "status.reservedFor", lambda c: c.get("uid")
    )
    results = ((allocation or {}).get("devices") or {}).get("results") or ()
    errors += _validate_device_statuses(status.get("devices") or [], set(map(_device_id, results)))
    if reserved and allocation is None:
        detail = "may not be specified when `allocated` is not set"
        errors.append(forbidden("status.reservedFor", detail))
    elif "deletionTimestamp" in new["metadata"] and any(
        consumer not in (before.get("reservedFor") or ()) for consumer in reserved
    ):
        detail = (
            "new entries may not be added while `deallocationRequested` or `deletionTimestamp` "
            "are set"
        )
        errors.append(forbidden("status.reservedFor", detail))
    if allocation is None or allocation == had:
        return errors
    if had is not None:
        shown = resource_as_shown("AllocationResult", allocation)
        return [*errors, invalid("status.allocation", shown, IMMUTABLE)]
    known = _request_names((new.get("spec") or {}).get("devices") or {})
    return errors + _validate_allocation(allocation, "status.allocation", known)


def _validate_consumer(consumer: Item, path: str) -> list[FieldError]:
    fields = ("resource", "name", "uid")
    return [required(f"{path}.{field}") for field in fields if not consumer.get(field)]


def _validate_allocation(allocation: Item, path: str, known: _Names) -> list[FieldError]:
    devices, here = allocation.get("devices") or {}, f"{path}.devices"
    errors = validate_list(
        devices.get("results"),
        _MAX_RESULTS,
        partial(_validate_result, known=known),
        f"{here}.results",
    )
    errors += validate_list(
        devices.get("config"),
        2 * MAX_CONFIG,  # those of the claim and those of the class
        partial(_validate_allocated_configuration, known=known),
        f"{here}.config",
    )
    selector = allocation.get("nodeSelector")
    if selector is not None:
        errors += validate_node_selector(selector, f"{path}.nodeSelector")
    return errors


def _validate_result(result: Item, path: str, known: _Names) -> list[FieldError]:
    errors = _validate_reference(result.get("request", ""), f"{path}.request", known)
    errors += _validate_device(result, path)
    errors += validate_binding_conditions(result, path)
    for index, toleration in enumerate(result.get("tolerations") or ()):
        errors += validate_toleration(toleration, f"{path}.tolerations[{index}]")
    return errors


def _validate_allocated_configuration(config: Item, path: str, known: _Names) -> list[FieldError]:
    source, here = config.get("source", ""), f"{path}.source"
    errors: list[FieldError] = []
    if not source:
        errors.append(required(here))
    elif source not in _SOURCES:
        errors.append(not_supported(here, source, _SOURCES))
    return errors + _validate_request_configuration(config, path, known)


def _validate_device(device: Item, path: str) -> list[FieldError]:
    """Return the faults of what says which device is meant."""
    errors = validate_driver_name(device.get("driver", ""), f"{path}.driver")
    errors += validate_pool_name(device.get("pool", ""), f"{path}.pool")
    return errors + validate_name(device.get("device", ""), f"{path}.device")


def _device_id(device: Item) -> str:
    """Return a device as upstream names it; one that is shared with the share."""
    parts = [device.get(field, "") for field in ("driver", "pool", "device")]
    if (share := device.get("shareID")) is not None:
        parts.append(share)
    return "/".join(parts)


def _validate_device_statuses(devices: list[Item], allocated: set[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, device in enumerate(devices):
        path, found = f"status.devices[{index}]", _device_id(device)
        errors += _validate_device(device, path)
        if found not in allocated:
            body = f"Invalid value: {found}: must be an allocated device in the claim"
            errors.append(FieldError("FieldValueInvalid", path, body))
        conditions = device.get("conditions") or ()
        if len(conditions) > _MAX_CONDITIONS:
            errors.append(too_many(f"{path}.conditions", len(conditions), _MAX_CONDITIONS))
        if device.get("data") is not None:
            errors += validate_free_object(device["data"], f"{path}.data")
        errors += _validate_network(device.get("networkData") or {}, f"{path}.networkData")
        if found in seen:
            errors.append(duplicate(path, found))
        seen.add(found)
    return errors


def _validate_network(network: Item, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    limits = {"interfaceName": _MAX_INTERFACE_NAME, "hardwareAddress": _MAX_HARDWARE_ADDRESS}
    for field, limit in limits.items():
        if len(network.get(field, "").encode()) > limit:
            errors.append(too_long(f"{path}.{field}", limit))
    return errors + validate_list(
        network.get("ips"), _MAX_ADDRESSES, _validate_address, f"{path}.ips", str
    )


def _validate_address(address: Any, path: str) -> list[FieldError]:
    try:
        found = str(ipaddress.ip_interface(address))
    except ValueError:
        found = ""
    if not found or "/" not in address:
        detail = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        return [invalid(path, address, detail)]
    if found != address:
        detail = f'must be in canonical form ("{found}")'
        return [invalid(path, address, detail)]
    return []


RULES = {
    "deviceclasses.resource.k8s.io": Rules(validate_class, validate_class_update),
    "resourceclaims.resource.k8s.io": Rules(
        validate_claim,
        validate_claim_update,
        validate_claim_status,
    ),
    "resourceclaimtemplates.resource.k8s.io": Rules(validate_template, validate_template_update),
}
"""By resource."""
