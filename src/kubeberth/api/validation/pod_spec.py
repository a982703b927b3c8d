"""Pod specs, of pods and of templates alike, in the order in which upstream looks at them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.validation.affinity import validate_affinity, validate_topology_spread
from kubeberth.api.validation.containers import (
    Surroundings,
    validate_containers,
    validate_ephemeral_containers,
    validate_init_containers,
)
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubeberth.api.validation.metadata import validate_label_key, validate_labels
from kubeberth.api.validation.resources import validate_container_resources, validate_pod_resources
from kubeberth.api.validation.taints import validate_tolerations
from kubeberth.api.validation.volumes import validate_volumes

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
_SYSTEMS = ("linux", "windows")
_MAX_INT32 = 2**31 - 1
# Fields of the pod's security context that mean nothing on the other system.
_LINUX_ONLY = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
)


def validate_pod_spec(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of a pod spec."""
    volumes = spec.get("volumes") or []
    around = Surroundings(spec, {volume.get("name", "") for volume in volumes})
    errors = validate_volumes(volumes, f"{path}.volumes")
    errors += _validate_claims(spec.get("resourceClaims") or [], f"{path}.resourceClaims")
    errors += validate_containers(spec.get("containers") or [], around, f"{path}.containers")
    errors += validate_init_containers(
        spec.get("initContainers") or [], around, f"{path}.initContainers"
    )
    if ephemeral := spec.get("ephemeralContainers"):
        errors += validate_ephemeral_containers(
            ephemeral, spec, around, f"{path}.ephemeralContainers"
        )
    if spec.get("resources") is not None:
        errors += validate_pod_resources(spec, f"{path}.resources")
    if spec.get("hostNetwork"):
        errors += _validate_host_network(spec, path)
    errors += _validate_policies(spec, path)
    errors += validate_labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    errors += _validate_security(spec, path)
    if affinity := spec.get("affinity"):
        errors += validate_affinity(affinity, f"{path}.affinity")
    if spec.get("dnsPolicy") == "None" and not (spec.get("dnsConfig") or {}).get("nameservers"):
        errors.append(_missing_dns(spec, f"{path}.dnsConfig"))
    for index, gate in enumerate(spec.get("readinessGates") or []):
        field = f"{path}.readinessGates[{index}].conditionType"
        errors += validate_label_key(gate.get("conditionType", ""), field)
    errors += _validate_gates(spec.get("schedulingGates") or [], f"{path}.schedulingGates")
    errors += validate_topology_spread(
        spec.get("topologySpreadConstraints") or [], f"{path}.topologySpreadConstraints"
    )
    errors += _validate_names(spec, path)
    errors += validate_tolerations(spec.get("tolerations") or [], f"{path}.tolerations")
    errors += _validate_host_aliases(spec.get("hostAliases") or [], f"{path}.hostAliases")
    return errors + _validate_placement_extras(spec, path)


def _validate_claims(claims: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    taken: set[str] = set()
    for index, claim in enumerate(claims):
        here, name = f"{path}[{index}]", claim.get("name", "")
        if not name:
            errors.append(required(f"{here}.name"))
        elif name in taken:
            errors.append(duplicate(f"{here}.name", name))
        else:
            errors += each_invalid(f"{here}.name", name, names.dns1123_label_errors(name))
        taken.add(name)
        given = [f for f in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(f)]
        if len(given) != 1:
            detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            if given:
                detail = (
                    "at most one of `resourceClaimName` or `resourceClaimTemplateName` "
                    "may be specified"
                )
            errors.append(invalid(here, claim, detail))
    return errors


def _validate_host_network(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the ports that cannot be what they say, because the pod has the host's network."""
    errors: list[FieldError] = []
    for field in ("containers", "initContainers"):
        for c_index, container in enumerate(spec.get(field) or []):
            for p_index, port in enumerate(container.get("ports") or []):
                host_port = port.get("hostPort", 0)
                # A template may leave it out: its pods get it by default.
                if not host_port and path != "spec":
                    continue
                if host_port != port.get("containerPort", 0):
                    here = f"{path}.{field}[{c_index}].ports[{p_index}].hostPort"
                    detail = "must match `containerPort` when `hostNetwork` is true"
                    errors.append(invalid(here, host_port, detail))
    return errors


def _validate_policies(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field, supported in (("restartPolicy", _RESTART_POLICIES), ("dnsPolicy", _DNS_POLICIES)):
        value = spec.get(field, "")
        if not value:
            errors.append(required(f"{path}.{field}"))
        elif value not in supported:
            errors.append(not_supported(f"{path}.{field}", value, supported))
    return errors


def _validate_security(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    context = spec.get("securityContext") or {}
    errors: list[FieldError] = []
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        if not 0 <= context.get(field, 0) <= _MAX_INT32:
            detail = f"must be between 0 and {_MAX_INT32}, inclusive"
            errors.append(invalid(f"{path}.securityContext.{field}", context[field], detail))
    return errors


def _missing_dns(spec: Mapping[str, Any], path: str) -> FieldError:
    if spec.get("dnsConfig") is None:
        return required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
    detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
    return required(f"{path}.nameservers", detail)


def _validate_gates(gates: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    taken: set[str] = set()
    for index, gate in enumerate(gates):
        here, name = f"{path}[{index}]", gate.get("name", "")
        errors += each_invalid(here, name, names.qualified_name_errors(name, "a qualified name"))
        if name in taken:
            errors.append(duplicate(here, name))
        taken.add(name)
    return errors


def _validate_names(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of the names a pod carries, and of the deadline among them."""
    errors: list[FieldError] = []
    for field in ("serviceAccountName", "nodeName"):
        if name := spec.get(field):
            errors += each_invalid(f"{path}.{field}", name, names.dns1123_subdomain_errors(name))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _MAX_INT32:
        detail = f"must be between 1 and {_MAX_INT32}, inclusive"
        errors.append(invalid(f"{path}.activeDeadlineSeconds", deadline, detail))
    for field in ("hostname", "subdomain"):
        if name := spec.get(field):
            errors += each_invalid(f"{path}.{field}", name, names.dns1123_label_errors(name))
    return errors


def _validate_host_aliases(aliases: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, alias in enumerate(aliases):
        address = alias.get("ip", "")
        if not re.fullmatch(r"[0-9a-fA-F.:]+", address):
            detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            errors.append(invalid(f"{path}[{index}].ip", address, detail))
        for name in alias.get("hostnames") or []:
            field = f"{path}[{index}].hostnames"
            errors += each_invalid(field, name, names.dns1123_subdomain_errors(name))
    return errors


def _validate_placement_extras(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("priorityClassName", "runtimeClassName"):
        if name := spec.get(field):
            errors += each_invalid(f"{path}.{field}", name, names.dns1123_subdomain_errors(name))
    policy = spec.get("preemptionPolicy")
    if policy is not None and policy not in _PREEMPTION_POLICIES:
        errors.append(not_supported(f"{path}.preemptionPolicy", policy, _PREEMPTION_POLICIES))
    # As upstream, overhead is looked at as the limits of a container.
    overhead = {"limits": spec.get("overhead") or {}}
    errors += validate_container_resources(overhead, set(), f"{path}.overhead")
    return errors + _validate_os(spec, path)


def _validate_os(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    system = spec.get("os")
    if system is None:
        return []
    name = system.get("name", "")
    if not name:
        return [required(f"{path}.os.name")]
    if name not in _SYSTEMS:
        return [not_supported(f"{path}.os", name, _SYSTEMS)]
    if name != "windows":
        return []
    context = spec.get("securityContext") or {}
    return [
        forbidden(f"{path}.securityContext.{field}", "cannot be set for a windows pod")
        for field in _LINUX_ONLY
        if context.get(field) is not None
    ]
