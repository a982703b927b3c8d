"""Slices: which devices a driver has, and what they are like."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from kubeberth.api import names
from kubeberth.api.quantity import Quantity, parse_quantity
from kubeberth.api.validation.device_parts import (
    Item,
    name_of,
    validate_binding_conditions,
    validate_list,
    validate_name,
    validate_pool_name,
    validate_qualified_name,
    validate_taint,
)
from kubeberth.api.validation.field_error import (
    FieldError,
    each_invalid,
    forbidden,
    invalid,
    required,
    too_long,
    too_many,
)
from kubeberth.api.validation.metadata import (
    IMMUTABLE,
    validate_metadata,
    validate_metadata_update,
)
from kubeberth.api.validation.rules import Rules
from kubeberth.api.validation.selectors import validate_node_selector
from kubeberth.api.validation.storage import validate_driver_name

_MAX_DEVICES = 128
# When one of them has taints or shares counters, which is what it takes longer to look at.
_MAX_ELABORATE_DEVICES = 64
_MAX_FEATURES = 32
_MAX_COUNTER_SETS = 8
_MAX_COUNTERS = 32
_MAX_CONSUMPTIONS = 2
_MAX_TAINTS = 16
_MAX_VALUE = 64
_MAX_OPTIONS = 10
# The fields of an attribute, each with its name in upstream's internal struct.
_ATTRIBUTE_TYPES = {
    "int": "IntValue",
    "bool": "BoolValue",
    "string": "StringValue",
    "version": "VersionValue",
    "ints": "IntValues",
    "bools": "BoolValues",
    "strings": "StringValues",
    "versions": "VersionValues",
}
_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_DEVICE_PLACES = _PLACES[:3]
_ONE_PLACE = (
    "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
)
_ONE_DEVICE_PLACE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when "
    "`perDeviceNodeSelection` is set to true in the ResourceSlice spec"
)
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


def validate_slice(resource_slice: Item) -> list[FieldError]:
    """Return the faults of a slice."""
    errors = validate_metadata(resource_slice.get("metadata") or {}, namespaced=False)
    spec = resource_slice.get("spec") or {}
    errors += validate_driver_name(spec.get("driver", ""), "spec.driver")
    return errors + _validate_pool(spec.get("pool") or {}, "spec.pool") + _validate_content(spec)


def validate_slice_update(new: Item, old: Item) -> list[FieldError]:
    """Return what of a slice's update is not allowed: it stays with its driver, pool and node."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors += validate_driver_name(spec.get("driver", ""), "spec.driver")
    errors += _validate_pool(spec.get("pool") or {}, "spec.pool")
    pool_names = [(s.get("pool") or {}).get("name", "") for s in (spec, before)]
    if pool_names[0] != pool_names[1]:
        errors.append(invalid("spec.pool.name", pool_names[0], IMMUTABLE))
    for field, absent in (("driver", ""), ("nodeName", None)):
        if spec.get(field, absent) != before.get(field, absent):
            errors.append(invalid(f"spec.{field}", spec.get(field, absent), IMMUTABLE))
    return errors + _validate_content(spec)


def _validate_pool(pool: Item, path: str) -> list[FieldError]:
    errors = validate_pool_name(pool.get("name", ""), f"{path}.name")
    count, generation = pool.get("resourceSliceCount", 0), pool.get("generation", 0)
    if count <= 0:
        errors.append(invalid(f"{path}.resourceSliceCount", count, "must be greater than zero"))
    if generation < 0:
        detail = "must be greater than or equal to zero"
        errors.append(invalid(f"{path}.generation", generation, detail))
    return errors


def _validate_content(spec: Item) -> list[FieldError]:
    errors, places = _validate_places(
        spec, "spec", _PLACES, "must be either unset or set to a non-empty string"
    )
    if not places:
        errors.append(required("spec", _ONE_PLACE))
    elif len(places) > 1:
        found = f"{{{', '.join(places)}}}"
        errors.append(invalid("spec", found, f"{_ONE_PLACE}, but multiple fields are set"))
    devices, counters = spec.get("devices") or [], spec.get("sharedCounters") or []
    if devices and counters:
        detail = "only one of `sharedCounters` or `devices` is allowed"
        errors.append(invalid("spec", "", detail))
    is_elaborate = any(d.get("taints") or d.get("consumesCounters") for d in devices)
    errors += validate_list(
        devices,
        _MAX_ELABORATE_DEVICES if is_elaborate else _MAX_DEVICES,
        partial(_validate_device, has_own_place=bool(spec.get("perDeviceNodeSelection"))),
        "spec.devices",
        name_of,
    )
    return errors + validate_list(
        counters, _MAX_COUNTER_SETS, _validate_counter_set, "spec.sharedCounters", name_of
    )


def _validate_places(
    holder: Item, path: str, fields: tuple[str, ...], when_empty: str
) -> tuple[list[FieldError], list[str]]:
    """Return the faults of what says where devices are, and which fields say it."""
    errors: list[FieldError] = []
    found: list[str] = []
    for field in fields:
        value, here = holder.get(field), f"{path}.{field}"
        if value is None:
            continue
        if value:
            found.append(f"`{field}`")
        if field == "nodeName":
            errors += (
                each_invalid(here, value, names.dns1123_subdomain_errors(value))
                if value
                else [invalid(here, value, when_empty)]
            )
        elif field == "nodeSelector":
            found += [] if value else [f"`{field}`"]
            errors += _validate_node_selector(value, here, is_of_slice=fields is _PLACES)
        elif not value:
            errors.append(invalid(here, value, "must be either unset or set to true"))
    return errors, found


def _validate_node_selector(selector: Item, path: str, *, is_of_slice: bool) -> list[FieldError]:
    errors = validate_node_selector(selector, path)
    terms = selector.get("nodeSelectorTerms")
    if is_of_slice and len(terms or ()) != 1:
        detail = "must have exactly one node selector term"
        errors.append(invalid(f"{path}.nodeSelectorTerms", terms, detail))
    return errors


def _validate_counter_set(counter_set: Item, path: str) -> list[FieldError]:
    return _validate_counters(counter_set, "name", path, _MAX_COUNTERS)


def _validate_consumption(consumption: Item, path: str) -> list[FieldError]:
    return _validate_counters(consumption, "counterSet", path, _MAX_COUNTERS)


def _validate_counters(holder: Item, name_field: str, path: str, most: int) -> list[FieldError]:
    """Return the faults of a named set of counters, or of what is taken from one."""
    name, counters = holder.get(name_field, ""), holder.get("counters") or {}
    here = f"{path}.{name_field}"
    errors = validate_name(name, here) if name else [required(here)]
    if not counters:
        errors.append(required(f"{path}.counters"))
    elif len(counters) > most:
        errors.append(too_many(f"{path}.counters", len(counters), most))
    else:
        for counter in counters:
            errors += validate_name(counter, f"{path}.counters")
    return errors


def _validate_device(device: Item, path: str, has_own_place: bool) -> list[FieldError]:
    errors = validate_name(name_of(device), f"{path}.name")
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    if (count := len(attributes) + len(capacity)) > _MAX_FEATURES:
        detail = f"the total number of attributes and capacities must not exceed {_MAX_FEATURES}"
        errors.append(invalid(path, count, detail))
    errors += _validate_named(attributes, _validate_attribute, f"{path}.attributes")
    validate_capacity = _validate_shared_capacity
    if not device.get("allowMultipleAllocations"):
        validate_capacity = _validate_whole_capacity
    errors += _validate_named(capacity, validate_capacity, f"{path}.capacity")
    here = f"{path}.taints"
    errors += validate_list(device.get("taints"), _MAX_TAINTS, validate_taint, here)
    errors += validate_list(
        device.get("consumesCounters"),
        _MAX_CONSUMPTIONS,
        _validate_consumption,
        f"{path}.consumesCounters",
        lambda consumption: consumption.get("counterSet", ""),
    )
    errors += _validate_place(device, path, has_own_place)
    return errors + validate_binding_conditions(device, path)


def _validate_place(device: Item, path: str, has_own_place: bool) -> list[FieldError]:
    if not has_own_place:
        if all(device.get(field) is None for field in _DEVICE_PLACES):
            return []
        detail = (
            "`nodeName`, `nodeSelector` and `allNodes` can only be set if "
            "`perDeviceNodeSelection` is set to true in the ResourceSlice spec"
        )
        return [invalid(path, None, detail)]
    errors, places = _validate_places(device, path, _DEVICE_PLACES, "must not be empty")
    if not places:
        errors.append(required(path, _ONE_DEVICE_PLACE))
    elif len(places) > 1:
        errors.append(invalid(path, f"{{{', '.join(places)}}}", _ONE_DEVICE_PLACE))
    return errors


def _validate_named(
    features: Item, validate: Callable[[Item, str], list[FieldError]], path: str
) -> list[FieldError]:
    errors: list[FieldError] = []
    for name, feature in features.items():
        errors += validate_qualified_name(name, path)
        errors += validate(feature, f"{path}[{name}]")
    return errors


def _validate_attribute(attribute: Item, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("string", "strings", "version", "versions"):
        value = attribute.get(field)
        single = isinstance(value, str)
        for index, text in enumerate([value] if single else value or ()):
            here = f"{path}.{field}" if single else f"{path}.{field}[{index}]"
            errors += _validate_text(text, here, is_version=field.startswith("version"))
    if sum(attribute.get(field) is not None for field in _ATTRIBUTE_TYPES) != 1:
        shown = {name: attribute.get(field) for field, name in _ATTRIBUTE_TYPES.items()}
        detail = "exactly one value must be specified"
        errors.append(invalid(path, shown if attribute else "", detail))
    return errors


def _validate_text(text: str, path: str, *, is_version: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    if is_version and not _VERSION.fullmatch(text):
        detail = "must be a string compatible with semver.org spec 2.0.0"
        errors.append(invalid(path, text, detail))
    if len(text.encode()) > _MAX_VALUE:
        errors.append(too_long(path, _MAX_VALUE))
    return errors


def _validate_whole_capacity(capacity: Item, path: str) -> list[FieldError]:
    if capacity.get("requestPolicy") is None:
        return []
    return [forbidden(f"{path}.requestPolicy", "allowMultipleAllocations must be true")]


def _validate_shared_capacity(capacity: Item, path: str) -> list[FieldError]:
    """Return the faults of a capacity of which claims may have parts."""
    policy, here = capacity.get("requestPolicy"), f"{path}.requestPolicy"
    if policy is None:
        return []
    options, bounds = policy.get("validValues"), policy.get("validRange")
    if options and bounds is not None:
        detail = (
            'exactly one policy can be specified, cannot specify "validValues" and "validRange" '
            "at the same time"
        )
        return [forbidden(here, detail)]
    default, most = policy.get("default"), capacity.get("value", "0")
    for field, given in (("validValues", options), ("validRange", bounds)):
        if given and default is None:
            return [required(f"{here}.default", f"required when {field} is defined")]
    if options:
        return _validate_options(options, default, most, f"{here}.validValues")
    return _validate_range(bounds, default, most, f"{here}.validRange") if bounds else []


def _amount(text: str) -> int:
    return parse_quantity(text).nanos


def _validate_options(options: list[str], default: str, most: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, option in enumerate(options[1:], start=1):
        if _amount(options[index - 1]) > _amount(option):
            detail = "values must be sorted in ascending order"
            errors.append(invalid(f"{path}[{index}]", option, detail))

    def fits(option: str, here: str) -> list[FieldError]:
        if _amount(option) <= _amount(most):
            return []
        return [invalid(here, option, f"option is larger than capacity value: {most}")]

    errors += validate_list(options, _MAX_OPTIONS, fits, path, _amount)
    if _amount(default) not in map(_amount, options):
        detail = "default value is not valid according to the requestPolicy"
        errors.append(invalid(path, default, detail))
    return errors


def _validate_range(bounds: Item, default: str, most: str, path: str) -> list[FieldError]:
    least, limit, step = (bounds.get(field) for field in ("min", "max", "step"))
    if least is None:
        return [required(f"{path}.min", "required when validRange is defined")]
    errors: list[FieldError] = []
    if _amount(least) > _amount(most):
        detail = f"min is larger than capacity value: {most}"
        errors.append(invalid(f"{path}.min", least, detail))
    if _amount(default) < _amount(least):
        detail = f"default is less than min: {least}"
        errors.append(invalid(f"{path}.default", default, detail))
    if limit is not None:
        if _amount(least) > _amount(limit):
            detail = f"min is larger than max: {limit}"
            errors.append(invalid(f"{path}.max", least, detail))
        if _amount(limit) > _amount(most):
            detail = f"max is larger than capacity value: {most}"
            errors.append(invalid(f"{path}.max", limit, detail))
        if _amount(default) > _amount(limit):
            detail = f"default is more than max: {limit}"
            errors.append(invalid(f"{path}.default", default, detail))
    if step is not None:
        errors += _validate_step(step, least, [default, limit], most, f"{path}.step")
    return errors


def _validate_step(
    step: str, least: str, values: list[str | None], most: str, path: str
) -> list[FieldError]:
    if _amount(step) <= 0:
        return [invalid(path, step, "must be greater than zero")]
    errors: list[FieldError] = []
    if _amount(least) + _amount(step) > _amount(most):
        start = parse_quantity(least)
        first = Quantity(start.nanos + _amount(step), start.format)
        detail = f"one step {first} is larger than capacity value: {most}"
        errors.append(invalid(path, step, detail))
    for value in values:
        if value is not None and (_amount(value) - _amount(least)) % _amount(step):
            detail = f"value is not a multiple of a given step ({step}) from ({least})"
            errors.append(invalid(path, value, detail))
    return errors


RULES = {
    "resourceslices.resource.k8s.io": Rules(validate_slice, validate_slice_update),
}
"""By resource."""
