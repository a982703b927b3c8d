"""Amounts of resources: requests and limits of containers and pods, capacity of nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from kubeberth.api import names
from kubeberth.api.container_requests import summed_requests
from kubeberth.api.quantity import parse_quantity
from kubeberth.api.validation.field_error import (
    FieldError,
    each_invalid,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)

NOT_NEGATIVE = "must be greater than or equal to 0"
_COMPUTE = ("cpu", "memory")
_CONTAINER_RESOURCES = frozenset(("cpu", "memory", "ephemeral-storage"))
_POD_RESOURCES = frozenset(("cpu", "memory"))
# Everything a quota may count is a standard name, though no container can ask for it.
_INTEGER_RESOURCES = frozenset(
    (
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    )
)
_STANDARD_RESOURCES = (
    _CONTAINER_RESOURCES
    | _INTEGER_RESOURCES
    | {"storage"}
    | {f"{bound}.{name}" for bound in ("requests", "limits") for name in _CONTAINER_RESOURCES}
    | {"requests.storage"}
)
_HUGE_PAGES = "hugepages-"

NameCheck = Callable[[str, str], list[FieldError]]


def is_huge_page(name: str) -> bool:
    """Tell whether a resource is pages of some size."""
    return name.startswith(_HUGE_PAGES)


def is_native(name: str) -> bool:
    """Tell whether Kubernetes itself defines the resource."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """Tell whether the resource is somebody else's, counted in whole pieces."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not names.qualified_name_errors(f"requests.{name}")


def allows_overcommit(name: str) -> bool:
    """Tell whether a limit may be above the request."""
    return is_native(name) and not is_huge_page(name)


def validate_amount(name: str, amount: str, path: str) -> list[FieldError]:
    """Return the faults of an amount: negative, or a fraction of what cannot be divided."""
    quantity = parse_quantity(amount)
    errors: list[FieldError] = []
    if quantity.nanos < 0:
        errors.append(invalid(path, amount, NOT_NEGATIVE))
    if (name in _INTEGER_RESOURCES or is_extended(name)) and quantity.milli() % 1000:
        errors.append(invalid(path, amount, "must be an integer"))
    return errors


def is_quota_resource(name: str) -> bool:
    """Tell whether it is a standard name of what a quota counts."""
    return name in _STANDARD_RESOURCES - {"storage"} or is_huge_page(name.removeprefix("requests."))


@lru_cache(maxsize=1024)
def resource_name_errors(name: str) -> list[str]:
    """Return what keeps a text from being any resource's name."""
    errors = names.qualified_name_errors(name, "a qualified name")
    if not errors and "/" not in name and not (name in _STANDARD_RESOURCES or is_huge_page(name)):
        errors.append("must be a standard resource type or fully qualified")
    return errors


@lru_cache(maxsize=1024)
def container_name_errors(name: str) -> list[str]:
    """Return what keeps a text from being the name of a container's resource."""
    errors = list(resource_name_errors(name))
    if "/" not in name:
        if name not in _CONTAINER_RESOURCES and not is_huge_page(name):
            errors.append("must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        errors.append("doesn't follow extended resource name standard")
    return errors


def validate_container_resources(
    requirements: Mapping[str, Any], claim_names: set[str], path: str
) -> list[FieldError]:
    """Return the faults of a container's `resources`."""
    return _validate_requirements(requirements, _validate_container_name, path) + _validate_claims(
        requirements.get("claims") or [], claim_names, f"{path}.claims"
    )


def validate_pod_resources(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of pod-level resources, also against those of the containers."""
    requirements = spec["resources"]
    errors: list[FieldError] = []
    if requirements.get("claims"):
        errors.append(
            forbidden(f"{path}.claims", "claims cannot be set for Resources at pod-level")
        )
    errors += _validate_requirements(requirements, _validate_pod_name, path)
    requests = requirements.get("requests") or {}
    for name, total in summed_requests(spec).items():
        amount = requests.get(name)
        if amount is not None and parse_quantity(amount).nanos < total.nanos:
            detail = f"must be greater than or equal to aggregate container requests of {total}"
            errors.append(invalid(f"{path}.requests[{name}]", amount, detail))
    return errors + _validate_container_limits(spec, requirements.get("limits") or {}, path)


def _validate_container_limits(
    spec: Mapping[str, Any], limits: Mapping[str, str], path: str
) -> list[FieldError]:
    """Return the containers whose own limit is above the pod's."""
    errors: list[FieldError] = []
    base = path.rpartition(".")[0]
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or []):
            own = (container.get("resources") or {}).get("limits") or {}
            for name, amount in own.items():
                bound = limits.get(name)
                if bound and parse_quantity(amount).nanos > parse_quantity(bound).nanos:
                    here = f"{base}.{field}[{index}].resources.limits[{name}]"
                    detail = f"must be less than or equal to pod limits of {bound}"
                    errors.append(invalid(here, amount, detail))
    return errors


def _validate_requirements(
    requirements: Mapping[str, Any], check_name: NameCheck, path: str
) -> list[FieldError]:
    limits = requirements.get("limits") or {}
    requests = requirements.get("requests") or {}
    errors: list[FieldError] = []
    for name, amount in limits.items():
        errors += _validate_entry(name, amount, check_name, f"{path}.limits[{name}]")
    for name, amount in requests.items():
        errors += _validate_entry(name, amount, check_name, f"{path}.requests[{name}]")
        errors += _validate_against_limit(name, amount, limits.get(name), path)
    asked = {*limits, *requests}
    if any(map(is_huge_page, asked)) and not asked.intersection(_COMPUTE):
        errors.append(forbidden(path, "HugePages require cpu or memory"))
    return errors


def _validate_entry(name: str, amount: str, check_name: NameCheck, path: str) -> list[FieldError]:
    errors = check_name(name, path) + validate_amount(name, amount, path)
    if is_huge_page(name) and not _is_whole_pages(name, amount):
        detail = f"{amount} is not positive integer multiple of {name}"
        errors.append(invalid(path, amount, detail))
    return errors


def _is_whole_pages(name: str, amount: str) -> bool:
    size = parse_quantity(name.removeprefix(_HUGE_PAGES)).nanos
    return size > 0 and parse_quantity(amount).nanos % size == 0


def _validate_against_limit(
    name: str, amount: str, limit: str | None, path: str
) -> list[FieldError]:
    """Return the faults of a request next to its limit."""
    if limit is None:
        if allows_overcommit(name):
            return []
        detail = "Limit must be set for non overcommitable resources"
        return [required(f"{path}.limits", detail)]
    difference = parse_quantity(amount).nanos - parse_quantity(limit).nanos
    if difference and not allows_overcommit(name):
        detail = f"must be equal to {name} limit of {limit}"
    elif difference > 0:
        detail = f"must be less than or equal to {name} limit of {limit}"
    else:
        return []
    # Without the resource's name in the path: upstream's doing.
    return [invalid(f"{path}.requests", amount, detail)]


def _validate_container_name(name: str, path: str) -> list[FieldError]:
    return each_invalid(path, name, container_name_errors(name))


def _validate_pod_name(name: str, path: str) -> list[FieldError]:
    errors = each_invalid(path, name, resource_name_errors(name))
    if name not in _POD_RESOURCES and not is_huge_page(name):
        errors.append(not_supported(path, name, ("cpu", _HUGE_PAGES, "memory")))
    return errors


def _validate_claims(
    claims: list[dict[str, Any]], claim_names: set[str], path: str
) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, claim in enumerate(claims):
        here, name = f"{path}[{index}]", claim.get("name", "")
        if not name:
            errors.append(required(f"{here}.name"))
        elif name not in claim_names:
            detail = "must be one of the names in pod.spec.resourceClaims"
            if not claim_names:
                detail += " which is empty"
            errors.append(not_found(here, name, detail))
    return errors
