"""What objects use of quotas: which quota an object falls under, and what it takes of it; pure.

Matches `pkg/quota/v1` of Kubernetes 1.36. Documents are in canonical form, with defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from kubeberth.api.meta import ApiStruct, ObjectMeta
from kubeberth.api.pod_totals import Totals, plus, total_limits, total_requests
from kubeberth.api.quantity import Quantity, parse_quantity
from kubeberth.api.scheme import Resource

Document = Mapping[str, Any]

_ONE = Quantity(10**9)
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
# Of these every container must say what it wants when a quota counts them.
_REQUIRED = frozenset(
    ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
)
# Kinds that are counted under their plain name too, as before there was `count/`.
_PLAIN_COUNTS = frozenset(
    (
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
    )
)
_CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
_AFFINITIES = ("podAffinity", "podAntiAffinity")


class ResourceQuota(ApiStruct, frozen=True):
    """How much of what a namespace may use at most."""

    metadata: ObjectMeta = ObjectMeta()
    spec: dict[str, Any] = {}
    status: dict[str, Any] = {}


decode_quota = msgspec.json.Decoder(ResourceQuota).decode


def usage_of(resource: Resource, document: Document) -> Totals:
    """Return what an object takes of quotas, by the names that quotas count."""
    name = resource.group_resource
    usage = {f"count/{name}": _ONE}
    if name == "pods" and _is_over(document):
        return usage
    if name in _PLAIN_COUNTS:
        usage[name] = _ONE
    spec = document.get("spec") or {}
    if name == "pods":
        usage |= _pod_usage(total_requests(spec), total_limits(spec))
    elif name == "services":
        usage |= _service_usage(spec)
    elif name == "persistentvolumeclaims":
        usage |= _claim_usage(spec)
    return usage


def _is_over(pod: Document) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _pod_usage(requests: Totals, limits: Totals) -> Totals:
    usage: Totals = {}
    for name, amount in requests.items():
        usage[f"requests.{name}"] = amount
        if name in _COMPUTE or name.startswith("hugepages-"):
            usage[name] = amount
    usage |= {f"limits.{name}": amount for name, amount in limits.items() if name in _COMPUTE}
    return usage


def _service_usage(spec: Document) -> Totals:
    kind, n_ports = spec.get("type"), len(spec.get("ports") or ())
    is_balanced = kind == "LoadBalancer"
    has_node_ports = kind == "NodePort" or (
        is_balanced and spec.get("allocateLoadBalancerNodePorts", True)
    )
    n_node_ports = n_ports if has_node_ports else 0
    return {
        "services.nodeports": Quantity(n_node_ports * 10**9),
        "services.loadbalancers": Quantity(int(is_balanced) * 10**9),
    }


def _claim_usage(spec: Document) -> Totals:
    amount = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    usage: Totals = {"requests.storage": parse_quantity(amount)} if amount is not None else {}
    if name := spec.get("storageClassName"):
        prefix = f"{name}{_CLASS_SUFFIX}"
        usage |= {prefix + counted: quantity for counted, quantity in usage.items()}
        usage[f"{prefix}persistentvolumeclaims"] = _ONE
    return usage


def counted_by(resource: Resource, names: Iterable[str]) -> list[str]:
    """Return which of a quota's names objects of a resource can use up."""
    own = resource.group_resource
    return [name for name in names if _concerns(own, name)]


def _concerns(own: str, name: str) -> bool:
    if name in (f"count/{own}", own) and (name != own or own in _PLAIN_COUNTS):
        return True
    if own == "pods":
        bare = name.removeprefix("requests.").removeprefix("limits.")
        is_huge = bare.startswith("hugepages-")
        is_extended = name.startswith("requests.") and "/" in bare
        return bare in _COMPUTE or is_huge or is_extended
    if own == "services":
        return name in ("services.nodeports", "services.loadbalancers")
    if own == "persistentvolumeclaims":
        return name == "requests.storage" or _CLASS_SUFFIX in name
    return False


def matches_scopes(quota: Document, resource: Resource, document: Document, qos: str) -> bool:
    """Return whether an object is in all scopes of a quota.

    Parameters
    ----------
    qos
        A pod's quality of service; empty for other objects.
    """
    spec = quota.get("spec") or {}
    requirements = [{"scopeName": s, "operator": "Exists"} for s in spec.get("scopes") or ()]
    requirements += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    if not requirements:
        return True
    if resource.group_resource != "pods":
        return False
    return all(_is_in_scope(requirement, document, qos) for requirement in requirements)


def _is_in_scope(requirement: Document, pod: Document, qos: str) -> bool:
    spec = pod.get("spec") or {}
    match requirement.get("scopeName"):
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return qos == "BestEffort"
        case "NotBestEffort":
            return qos != "BestEffort"
        case "CrossNamespacePodAffinity":
            return looks_across_namespaces(spec)
        case "PriorityClass":
            return _selects(requirement, spec.get("priorityClassName") or "")
    return False


def _selects(requirement: Document, value: str) -> bool:
    values = requirement.get("values") or ()
    match requirement.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return bool(value)
        case _:
            return not value


def looks_across_namespaces(spec: Document) -> bool:
    """Return whether a pod's affinity speaks of pods in other namespaces."""
    affinity = spec.get("affinity") or {}
    for kind in _AFFINITIES:
        part = affinity.get(kind) or {}
        terms = list(part.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        terms += [
            weighted.get("podAffinityTerm") or {}
            for weighted in part.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        ]
        if any(t.get("namespaces") or t.get("namespaceSelector") is not None for t in terms):
            return True
    return False


def unspecified(spec: Document, names: Iterable[str]) -> dict[str, list[str]]:
    """Return which resources that a quota counts are not told by which containers of a pod."""
    required = [name for name in names if name in _REQUIRED]
    pod_level = _told(spec)
    missing: dict[str, list[str]] = {}
    for field in ("containers", "initContainers"):
        for container in spec.get(field) or ():
            told = _told(container) | pod_level
            for name in required:
                if name not in told:
                    missing.setdefault(name, []).append(container.get("name", ""))
    return {name: sorted(missing[name]) for name in sorted(missing)}


def _told(holder: Document) -> set[str]:
    resources = holder.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    told = {f"requests.{name}" for name in requests} | set(requests)
    return told | {f"limits.{name}" for name in limits}


def added(used: Mapping[str, str], more: Totals) -> dict[str, str]:
    """Return what is used when more comes to it."""
    return dict(used) | {
        name: str(plus(parse_quantity(used.get(name, "0")), amount))
        for name, amount in more.items()
    }
