"""Services: ports, type, and what of it may change."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.validation.containers import port_name_errors, validate_port_number
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    each_invalid,
    invalid,
    not_supported,
    required,
)
from kubeberth.api.validation.metadata import (
    IMMUTABLE,
    validate_labels,
    validate_metadata,
    validate_metadata_update,
)
from kubeberth.api.validation.rules import Rules

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_AFFINITIES = ("ClientIP", "None")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_BAD_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def validate_service(service: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a service."""
    spec = service.get("spec") or {}
    errors = validate_metadata(service.get("metadata") or {}, names.dns1035_label_errors)
    kind = spec.get("type", "")
    is_headless = spec.get("clusterIP") == "None"
    ports = spec.get("ports") or []
    if not ports and not is_headless and kind != "ExternalName":
        errors.append(required("spec.ports"))
    if kind == "LoadBalancer" and is_headless:
        detail = "may not be set to 'None' for LoadBalancer services"
        errors.append(invalid("spec.clusterIPs[0]", "None", detail))
    if kind == "ExternalName":
        errors += _validate_external_name(spec)
    errors += _validate_ports(ports, "spec.ports")
    errors += validate_labels(spec.get("selector"), "spec.selector")
    errors += _validate_choice(spec.get("sessionAffinity", ""), _AFFINITIES, "spec.sessionAffinity")
    for index, address in enumerate(spec.get("externalIPs") or []):
        if not _is_ip(address):
            errors.append(invalid(f"spec.externalIPs[{index}]", address, _BAD_IP))
    errors += _validate_choice(kind, _TYPES, "spec.type")
    for index, address in enumerate(spec.get("clusterIPs") or []):
        if address != "None" and not _is_ip(address):
            errors.append(invalid(f"spec.clusterIPs[{index}]", address, _BAD_IP))
    return errors


def validate_service_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a service's update is not allowed: its address, while the type stays."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    keeps_address = "ExternalName" not in (spec.get("type"), before.get("type"))
    had = before.get("clusterIPs") or []
    if keeps_address and had and (spec.get("clusterIPs") or []) != had:
        errors.append(invalid("spec.clusterIPs[0]", spec.get("clusterIPs"), IMMUTABLE))
    return errors + validate_service(new)


def _validate_choice(value: str, choices: tuple[str, ...], path: str) -> list[FieldError]:
    if not value:
        return [required(path)]
    return [] if value in choices else [not_supported(path, value, choices)]


def _validate_external_name(spec: Mapping[str, Any]) -> list[FieldError]:
    name = spec.get("externalName", "").removesuffix(".")
    if not name:
        return [required("spec.externalName")]
    return each_invalid("spec.externalName", name, names.dns1123_subdomain_errors(name))


def _validate_ports(ports: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    taken_names: set[str] = set()
    for index, port in enumerate(ports):
        here = f"{path}[{index}]"
        name = port.get("name", "")
        if not name and len(ports) > 1:
            errors.append(required(f"{here}.name"))
        elif name:
            errors += each_invalid(f"{here}.name", name, names.dns1123_label_errors(name))
            if name in taken_names:
                errors.append(duplicate(f"{here}.name", name))
            taken_names.add(name)
        errors += validate_port_number(port.get("port", 0), f"{here}.port")
        errors += _validate_choice(port.get("protocol", ""), _PROTOCOLS, f"{here}.protocol")
        errors += _validate_target_port(port.get("targetPort", 0), f"{here}.targetPort")
    return errors + _duplicate_ports(ports, path)


def _validate_target_port(target: int | str, path: str) -> list[FieldError]:
    if isinstance(target, int):
        return validate_port_number(target, path)
    return each_invalid(path, target, port_name_errors(target))


def _duplicate_ports(ports: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    taken: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        pair = (port.get("protocol", ""), port.get("port", 0))
        if pair in taken:
            shown = {"Port": pair[1], "Protocol": pair[0]}
            errors.append(duplicate(f"{path}[{index}]", shown))
        taken.add(pair)
    return errors


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


RULES = {
    "services": Rules(validate_service, validate_service_update),
}
"""By resource."""
