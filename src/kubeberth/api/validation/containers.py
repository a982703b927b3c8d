"""Containers of a pod spec: names, images, ports, environment, mounts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from kubeberth.api.validation.probes import validate_lifecycle, validate_probe
from kubeberth.api.validation.resources import validate_container_resources

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
# What only containers have that make up the pod for good, in the order of the struct.
_LASTING_FIELDS = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    *_PROBES,
    "lifecycle",
)
_NOT_EPHEMERAL = "cannot be set for an Ephemeral Container"
_FIELD_PATHS = frozenset(
    (
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    )
)
_SUBSCRIPTED = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
_VALUE_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


class Surroundings:
    """What the pod has that its containers may refer to, and the names already taken."""

    def __init__(self, spec: Mapping[str, Any], volumes: set[str]) -> None:
        self.volumes = volumes
        self.claims = {claim.get("name", "") for claim in spec.get("resourceClaims") or []}
        self.regular_names = {c.get("name", "") for c in spec.get("containers") or []}


def validate_containers(
    containers: list[dict[str, Any]], around: Surroundings, path: str
) -> list[FieldError]:
    """Return the faults of the regular containers."""
    if not containers:
        return [required(path)]
    errors: list[FieldError] = []
    taken: set[str] = set()
    for index, container in enumerate(containers):
        here = f"{path}[{index}]"
        errors += _validate_container(container, around, here)
        errors += _validate_unique_name(container, taken, here)
        errors += _validate_hooks(container, here)
    return errors + _host_port_conflicts(containers, path)


def validate_init_containers(
    containers: list[dict[str, Any]], around: Surroundings, path: str
) -> list[FieldError]:
    """Return the faults of the init containers; those that restart always are sidecars."""
    errors: list[FieldError] = []
    taken = set(around.regular_names)
    for index, container in enumerate(containers):
        here = f"{path}[{index}]"
        errors += _validate_container(container, around, here)
        errors += _validate_unique_name(container, taken, here)
        # They run one by one, so each has the ports of the host for itself.
        errors += _host_port_conflicts([container], here, indexed=False)
        if container.get("restartPolicy") == "Always":
            errors += _validate_hooks(container, here)
            continue
        for field in ("lifecycle", *_PROBES):
            if field in container:
                detail = "may not be set for init containers without restartPolicy=Always"
                errors.append(forbidden(f"{here}.{field}", detail))
    return errors


def validate_ephemeral_containers(
    containers: list[dict[str, Any]], spec: Mapping[str, Any], around: Surroundings, path: str
) -> list[FieldError]:
    """Return the faults of the ephemeral containers, which come late and may not ask for much."""
    errors: list[FieldError] = []
    lasting = around.regular_names | {c.get("name", "") for c in spec.get("initContainers") or []}
    taken = set(lasting)
    for index, container in enumerate(containers):
        here = f"{path}[{index}]"
        errors += _validate_container(container, around, here)
        errors += validate_images([container], path, first=index)
        errors += _validate_unique_name(container, taken, here)
        target = container.get("targetContainerName", "")
        if target and target not in lasting:
            errors.append(not_found(f"{here}.targetContainerName", target))
        errors += [
            forbidden(f"{here}.{field}", _NOT_EPHEMERAL)
            for field in _LASTING_FIELDS
            if container.get(field)
        ]
        for m_index, mount in enumerate(container.get("volumeMounts") or []):
            errors += [
                forbidden(f"{here}.volumeMounts[{m_index}].{field}", _NOT_EPHEMERAL)
                for field in ("subPath", "subPathExpr")
                if mount.get(field)
            ]
    return errors


def validate_images(
    containers: list[dict[str, Any]], path: str, *, first: int = 0
) -> list[FieldError]:
    """Return the images that begin or end in blanks; pods check that, templates do not."""
    return [
        invalid(
            f"{path}[{index}].image",
            container["image"],
            "must not have leading or trailing whitespace",
        )
        for index, container in enumerate(containers, first)
        if container.get("image", "") != container.get("image", "").strip()
    ]


def _validate_container(
    container: Mapping[str, Any], around: Surroundings, path: str
) -> list[FieldError]:
    errors: list[FieldError] = []
    if name := container.get("name"):
        errors += each_invalid(f"{path}.name", name, names.dns1123_label_errors(name))
    else:
        errors.append(required(f"{path}.name"))
    if not container.get("image"):
        errors.append(required(f"{path}.image"))
    message_policy = container.get("terminationMessagePolicy", "")
    if not message_policy:
        errors.append(required(f"{path}.terminationMessagePolicy"))
    elif message_policy not in _MESSAGE_POLICIES:
        field = f"{path}.terminationMessagePolicy"
        errors.append(not_supported(field, message_policy, _MESSAGE_POLICIES))
    errors += _validate_ports(container.get("ports") or [], f"{path}.ports")
    errors += _validate_env(container.get("env") or [], f"{path}.env")
    errors += _validate_env_from(container.get("envFrom") or [], f"{path}.envFrom")
    errors += _validate_mounts(container.get("volumeMounts") or [], around, f"{path}.volumeMounts")
    errors += _validate_pull_policy(container.get("imagePullPolicy", ""), f"{path}.imagePullPolicy")
    errors += validate_container_resources(
        container.get("resources") or {}, around.claims, f"{path}.resources"
    )
    policy = container.get("restartPolicy")
    if policy is not None and policy not in _RESTART_POLICIES:
        errors.append(not_supported(f"{path}.restartPolicy", policy, _RESTART_POLICIES))
    return errors


def _validate_unique_name(
    container: Mapping[str, Any], taken: set[str], path: str
) -> list[FieldError]:
    name = container.get("name", "")
    if not name:
        return []
    if name in taken:
        return [duplicate(f"{path}.name", name)]
    taken.add(name)
    return []


def _validate_hooks(container: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if lifecycle := container.get("lifecycle"):
        errors += validate_lifecycle(lifecycle, f"{path}.lifecycle")
    for field in _PROBES:
        if (probe := container.get(field)) is not None:
            errors += validate_probe(probe, f"{path}.{field}", is_readiness=field == _PROBES[1])
    return errors


def _validate_pull_policy(policy: str, path: str) -> list[FieldError]:
    if not policy:
        return [required(path)]
    return [] if policy in _PULL_POLICIES else [not_supported(path, policy, _PULL_POLICIES)]


def validate_port_number(port: int, path: str) -> list[FieldError]:
    """Return the fault of a port that is out of range."""
    if 1 <= port <= 65535:
        return []
    return [invalid(path, port, "must be between 1 and 65535, inclusive")]


def port_name_errors(name: str) -> list[str]:
    """Return what keeps a text from being a port's name."""
    errors = []
    if len(name) > 15:
        errors.append("must be no more than 15 characters")
    if not re.fullmatch(r"[-a-z0-9]+", name):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", name):
        errors.append("must contain at least one letter (a-z)")
    if "--" in name:
        errors.append("must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def _validate_ports(ports: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    taken: set[str] = set()
    for index, port in enumerate(ports):
        here = f"{path}[{index}]"
        if name := port.get("name"):
            if wrong := port_name_errors(name):
                errors += each_invalid(f"{here}.name", name, wrong)
            elif name in taken:
                errors.append(duplicate(f"{here}.name", name))
            taken.add(name)
        if number := port.get("containerPort", 0):
            errors += validate_port_number(number, f"{here}.containerPort")
        else:
            errors.append(required(f"{here}.containerPort"))
        if host_port := port.get("hostPort", 0):
            errors += validate_port_number(host_port, f"{here}.hostPort")
        protocol = port.get("protocol", "")
        if not protocol:
            errors.append(required(f"{here}.protocol"))
        elif protocol not in _PROTOCOLS:
            errors.append(not_supported(f"{here}.protocol", protocol, _PROTOCOLS))
    return errors


def _host_port_conflicts(
    containers: list[dict[str, Any]], path: str, *, indexed: bool = True
) -> list[FieldError]:
    """Return the host ports that are wanted twice; `0.0.0.0` is an address of its own."""
    errors: list[FieldError] = []
    taken: set[str] = set()
    for c_index, container in enumerate(containers):
        here = f"{path}[{c_index}]" if indexed else path
        for p_index, port in enumerate(container.get("ports") or []):
            if not port.get("hostPort"):
                continue
            wanted = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if wanted in taken:
                errors.append(duplicate(f"{here}.ports[{p_index}].hostPort", wanted))
            taken.add(wanted)
    return errors


def _validate_env(variables: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, variable in enumerate(variables):
        here = f"{path}[{index}]"
        if name := variable.get("name"):
            errors += _validate_env_name(name, f"{here}.name")
        else:
            errors.append(required(f"{here}.name"))
        if (source := variable.get("valueFrom")) is not None:
            errors += _validate_value_from(source, variable.get("value", ""), f"{here}.valueFrom")
    return errors


def _validate_env_name(name: str, path: str) -> list[FieldError]:
    if all(" " <= char <= "~" and char != "=" for char in name):
        return []
    detail = (
        "a valid environment variable name must consist only of printable ASCII characters "
        "other than '='"
    )
    return [invalid(path, name, detail)]


def _validate_value_from(source: Mapping[str, Any], value: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    n_sources = sum(1 for kind in _VALUE_SOURCES if source.get(kind) is not None)
    if (field := source.get("fieldRef")) is not None:
        errors += validate_field_path(field, f"{path}.fieldRef")
    if (resource := source.get("resourceFieldRef")) is not None and not resource.get("resource"):
        errors.append(required(f"{path}.resourceFieldRef.resource"))
    for kind in ("configMapKeyRef", "secretKeyRef"):
        reference = source.get(kind)
        if reference is not None and not reference.get("name"):
            errors.append(required(f"{path}.{kind}.name"))
        if reference is not None and not reference.get("key"):
            errors.append(required(f"{path}.{kind}.key"))
    if n_sources == 0:
        errors.append(invalid(path, "", f"must specify one of: {_listed(_VALUE_SOURCES)}"))
    elif value:
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif n_sources > 1:
        errors.append(invalid(path, "", "may not have more than one field specified at a time"))
    return errors


def _listed(choices: tuple[str, ...]) -> str:
    quoted = [f"`{choice}`" for choice in choices]
    return ", ".join(quoted[:-1]) + f" or {quoted[-1]}"


def validate_field_path(
    reference: Mapping[str, Any], path: str, also: frozenset[str] = frozenset()
) -> list[FieldError]:
    """Return the faults of a reference to a field of the pod.

    Parameters
    ----------
    also
        Fields that may be had here besides those for a variable.
    """
    field = reference.get("fieldPath", "")
    if not reference.get("apiVersion"):
        return [required(f"{path}.apiVersion")]
    if not field:
        return [required(f"{path}.fieldPath")]
    if field in _FIELD_PATHS or field in also or _SUBSCRIPTED.fullmatch(field):
        return []
    detail = f"error converting fieldPath: field label not supported: {field}"
    return [invalid(f"{path}.fieldPath", field, detail)]


def _validate_env_from(sources: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, source in enumerate(sources):
        here = f"{path}[{index}]"
        if prefix := source.get("prefix"):
            errors += _validate_env_name(prefix, f"{here}.prefix")
        given = [kind for kind in ("configMapRef", "secretRef") if source.get(kind) is not None]
        for kind in given:
            if not source[kind].get("name"):
                errors.append(required(f"{here}.{kind}.name"))
        if not given:
            errors.append(invalid(here, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            errors.append(invalid(here, "", "may not have more than one field specified at a time"))
    return errors


def _validate_mounts(
    mounts: list[dict[str, Any]], around: Surroundings, path: str
) -> list[FieldError]:
    errors: list[FieldError] = []
    taken: set[str] = set()
    for index, mount in enumerate(mounts):
        here = f"{path}[{index}]"
        name, mount_path = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.append(required(f"{here}.name"))
        elif name not in around.volumes:
            errors.append(not_found(f"{here}.name", name))
        if not mount_path:
            errors.append(required(f"{here}.mountPath"))
        if mount_path in taken:
            errors.append(invalid(f"{here}.mountPath", mount_path, "must be unique"))
        taken.add(mount_path)
    return errors
