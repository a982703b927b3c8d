"""Nodes: taints, addresses for their pods, amounts of resources."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from kubeberth.api.json_syntax import syntax_error
from kubeberth.api.validation.faultless import Faultless
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    required,
)
from kubeberth.api.validation.metadata import validate_metadata, validate_metadata_update
from kubeberth.api.validation.resources import validate_amount
from kubeberth.api.validation.rules import Rules
from kubeberth.api.validation.taints import validate_taints

_AVOID_PODS = "scheduler.alpha.kubernetes.io/preferAvoidPods"
_FEATURE = re.compile(r"[A-Z][A-Za-z0-9]*(/[A-Za-z0-9]+)*")


def validate_node(node: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a new node."""
    errors = validate_metadata(node.get("metadata") or {}, namespaced=False)
    errors += _validate_avoid_pods(node.get("metadata") or {})
    spec = node.get("spec") or {}
    errors += _validate_taints(spec)
    errors += _validate_status(node.get("status") or {})
    return errors + _validate_pod_cidrs(spec.get("podCIDRs") or [], "spec.podCIDRs")


def validate_node_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a node's update is not allowed."""
    # Upstream looks at the new node twice.
    errors = validate_metadata(new["metadata"], namespaced=False)
    errors += _validate_taints(new.get("spec") or {})
    errors += validate_metadata_update(new["metadata"], old["metadata"])
    return errors + _validate_change(new, old)


def validate_node_status_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a node status update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    errors += _validate_status(new.get("status") or {})
    return errors + _validate_change(new, old)


def _validate_change(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors: list[FieldError] = []
    if before.get("podCIDRs") and spec.get("podCIDRs") != before["podCIDRs"]:
        detail = 'node updates may not change podCIDR except from "" to valid'
        errors.append(forbidden("spec.podCIDRs", detail))
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        detail = 'node updates may not change providerID except from "" to valid'
        errors.append(forbidden("spec.providerID", detail))
    if spec.get("externalID") != before.get("externalID"):
        errors.append(forbidden("spec.externalID", "may not be updated"))
    return errors + _validate_taints(spec)


def _validate_avoid_pods(meta: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of the old annotation that keeps a controller's pods away."""
    text = (meta.get("annotations") or {}).get(_AVOID_PODS)
    if text is None:
        return []
    try:
        avoided = msgspec.json.decode(text)
    except msgspec.DecodeError:
        why = syntax_error(text.encode())
        return [invalid("metadata.annotations.AvoidPods", _AVOID_PODS, why)]
    return [
        required(f"metadata.annotations.{_AVOID_PODS}[{index}].PodSignature")
        for index, entry in enumerate(avoided.get("preferAvoidPods") or [])
        if not (entry.get("podSignature") or {}).get("podController")
    ]


def _validate_taints(spec: Mapping[str, Any]) -> list[FieldError]:
    # The path says metadata: upstream's doing.
    return validate_taints(spec.get("taints") or [], "metadata.taints")


def _validate_status(status: Mapping[str, Any]) -> list[FieldError]:
    amounts = {field: status.get(field) or {} for field in ("capacity", "allocatable")}
    errors = _validate_amounts(amounts)
    return errors + _validate_features(status.get("declaredFeatures") or [])


def _amount_errors(amounts: Mapping[str, Mapping[str, str]]) -> list[FieldError]:
    """Return the faults of what nodes of one make have."""
    errors: list[FieldError] = []
    for field, those in amounts.items():
        for name, amount in those.items():
            errors += validate_amount(name, amount, f"status.{field}.{name}")
    return errors


_validate_amounts = Faultless(_amount_errors)


def _validate_features(features: list[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, feature in enumerate(features):
        path = f"status.declaredFeatures[{index}]"
        if feature in features[:index]:
            errors.append(duplicate(path, feature))
        elif index and feature < features[index - 1]:
            errors.append(invalid(path, feature, "list must be sorted alphabetically"))
        if not _FEATURE.fullmatch(feature):
            detail = (
                f'invalid feature name "{feature}": must start with an UpperCamelCase segment, '
                "with subsequent segments separated by '/' (e.g., MyFeature or "
                "MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
            )
            errors.append(invalid(path, feature, detail))
    return errors


def _validate_pod_cidrs(cidrs: list[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    versions: list[int] = []
    for index, cidr in enumerate(cidrs):
        try:
            if "/" not in cidr:
                raise ValueError(cidr)
            versions.append(ipaddress.ip_network(cidr, strict=False).version)
        except ValueError:
            detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            errors.append(invalid(f"{path}[{index}]", cidr, detail))
    if len(versions) > len(set(versions)) and not errors:
        detail = "may specify no more than one CIDR for each IP family"
        errors.append(invalid(path, cidrs, detail))
    return errors


RULES = {
    "nodes": Rules(validate_node, validate_node_update, validate_node_status_update),
}
"""By resource."""
