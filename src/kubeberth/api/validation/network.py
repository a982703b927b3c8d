"""Endpoints, ingress, network policies, autoscalers: stored here, and carried out by others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api.validation.field_error import FieldError, invalid, not_supported, required
from kubeberth.api.validation.metadata import (
    IMMUTABLE,
    validate_metadata,
    validate_metadata_update,
)
from kubeberth.api.validation.rules import Rules
from kubeberth.api.validation.selectors import validate_label_selector

_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICY_TYPES = ("Egress", "Ingress")
_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")


def validate_endpoint_slice(endpoint_slice: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of an endpoint slice."""
    errors = validate_metadata(endpoint_slice.get("metadata") or {})
    kind = endpoint_slice.get("addressType", "")
    if not kind:
        errors.append(required("addressType"))
    elif kind not in _ADDRESS_TYPES:
        errors.append(not_supported("addressType", kind, _ADDRESS_TYPES))
    for index, endpoint in enumerate(endpoint_slice.get("endpoints") or ()):
        if not endpoint.get("addresses"):
            path = f"endpoints[{index}].addresses"
            errors.append(required(path, "must contain at least 1 address"))
    for index, port in enumerate(endpoint_slice.get("ports") or ()):
        if (protocol := port.get("protocol")) not in _PROTOCOLS:
            errors.append(not_supported(f"ports[{index}].protocol", protocol or "", _PROTOCOLS))
    return errors


def validate_endpoint_slice_update(
    new: Mapping[str, Any], old: Mapping[str, Any]
) -> list[FieldError]:
    """Return what of an endpoint slice's update is not allowed: its kind of address stays."""
    errors = validate_endpoint_slice(new)
    if new.get("addressType") != old.get("addressType"):
        errors.append(invalid("addressType", new.get("addressType"), IMMUTABLE))
    return errors


def validate_ingress(ingress: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of an ingress."""
    errors = validate_metadata(ingress.get("metadata") or {})
    spec = ingress.get("spec") or {}
    rules = spec.get("rules") or []
    if not rules and spec.get("defaultBackend") is None:
        detail = "either `defaultBackend` or `rules` must be specified"
        errors.append(invalid("spec", rules, detail))
    for index, rule in enumerate(rules):
        for position, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            here = f"spec.rules[{index}].http.paths[{position}]"
            errors += _validate_ingress_path(path, here)
    return errors


def _validate_ingress_path(path: Mapping[str, Any], here: str) -> list[FieldError]:
    kind, text = path.get("pathType"), path.get("path", "")
    if kind is None:
        return [required(f"{here}.pathType", "pathType must be specified")]
    if kind not in _PATH_TYPES:
        return [not_supported(f"{here}.pathType", kind, _PATH_TYPES)]
    if kind in ("Exact", "Prefix") and not text.startswith("/"):
        return [invalid(f"{here}.path", text, "must be an absolute path")]
    return []


def validate_ingress_class(ingress_class: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of an ingress class."""
    errors = validate_metadata(ingress_class.get("metadata") or {}, namespaced=False)
    controller = (ingress_class.get("spec") or {}).get("controller", "")
    if "/" not in controller:
        detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
        errors.append(invalid("spec.controller", controller, detail))
    return errors


def validate_ingress_class_update(
    new: Mapping[str, Any], old: Mapping[str, Any]
) -> list[FieldError]:
    """Return what of an ingress class's update is not allowed: its controller stays."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    controllers = [(document.get("spec") or {}).get("controller") for document in (new, old)]
    if controllers[0] != controllers[1]:
        errors.append(invalid("spec.controller", controllers[0], IMMUTABLE))
    return errors


def validate_network_policy(policy: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a network policy."""
    errors = validate_metadata(policy.get("metadata") or {})
    spec = policy.get("spec") or {}
    errors += validate_label_selector(spec.get("podSelector"), "spec.podSelector")
    for index, kind in enumerate(spec.get("policyTypes") or ()):
        if kind not in _POLICY_TYPES:
            errors.append(not_supported(f"spec.policyTypes[{index}]", kind, _POLICY_TYPES))
    return errors


def validate_autoscaler(autoscaler: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of an autoscaler, in either version."""
    errors = validate_metadata(autoscaler.get("metadata") or {})
    spec = autoscaler.get("spec") or {}
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if least is not None and least < 1:
        detail = "must be greater than or equal to 1"
        errors.append(invalid("spec.minReplicas", least, detail))
    if most < 1:
        errors.append(required("spec.maxReplicas", "must be set and greater than 0"))
    if least is not None and most < least:
        detail = "must be greater than or equal to `minReplicas`"
        errors.append(invalid("spec.maxReplicas", most, detail))
    target = spec.get("scaleTargetRef") or {}
    for field in ("kind", "name"):
        if not target.get(field):
            errors.append(required(f"spec.scaleTargetRef.{field}"))
    if not target.get("apiVersion") and not target.get("kind"):
        detail = "apiVersion must specify API group"
        errors.append(invalid("spec.scaleTargetRef.apiVersion", "", detail))
    return errors


def validate_autoscaler_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of an autoscaler's update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    return errors + validate_autoscaler(new)


RULES = {
    "horizontalpodautoscalers.autoscaling": Rules(validate_autoscaler, validate_autoscaler_update),
    "horizontalpodautoscalers.v1.autoscaling": Rules(
        validate_autoscaler, validate_autoscaler_update
    ),
    "endpointslices.discovery.k8s.io": Rules(
        validate_endpoint_slice, validate_endpoint_slice_update
    ),
    "ingresses.networking.k8s.io": Rules(validate_ingress),
    "ingressclasses.networking.k8s.io": Rules(
        validate_ingress_class, validate_ingress_class_update
    ),
    "networkpolicies.networking.k8s.io": Rules(validate_network_policy),
}
"""By resource."""
