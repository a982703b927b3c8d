"""A pod's effective request: containers, init containers, sidecars, pod level and overhead.

Matches kube-scheduler 1.36 (`component-helpers/resource/helpers.go`). Amounts are int in base
units: milli-CPU for `cpu`, bytes or whole pieces for everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubeberth.api.core import Container, ContainerStatus, Pod, ResourceList, ResourceRequirements
from kubeberth.api.quantity import int_value, milli_value

Amounts = dict[str, int]

# What scoring takes for a container that says nothing, so that silent pods spread too.
DEFAULT_MILLI_CPU = 100
DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024
NON_ZERO_DEFAULTS: Amounts = {"cpu": DEFAULT_MILLI_CPU, "memory": DEFAULT_MEMORY_BYTES}

_INT64_MAX = 2**63 - 1
_NATIVE = ("cpu", "memory", "ephemeral-storage", "pods")

RequestOf = Callable[[Container], Amounts]


def to_amounts(resources: ResourceList) -> Amounts:
    """Return a resource list in base units, held to what an int64 can carry."""
    return {
        name: min(milli_value(text) if name == "cpu" else int_value(text), _INT64_MAX)
        for name, text in resources.items()
    }


def shown_amount(resource: str, value: int) -> str:
    """Return an amount of a resource in base units, short enough to be read."""
    if resource == "cpu":
        return f"{value // 1000}" if value % 1000 == 0 else f"{value}m"
    if resource not in ("memory", "ephemeral-storage") and not resource.startswith("hugepages-"):
        return str(value)
    for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if value >= size:
            return f"{value / size:.1f}".removesuffix(".0") + unit
    return str(value)


def is_counted(name: str) -> bool:
    """Return whether the scheduler keeps account of a resource of that name.

    Native resources, huge pages, attachable volumes, and names with a domain; a bare word that
    Kubernetes does not know is ignored.
    """
    return name in _NATIVE or name.startswith(("hugepages-", "attachable-volumes-")) or "/" in name


def effective_request(pod: Pod) -> Amounts:
    """Return what a pod to be placed asks for, by its spec alone."""
    total = _sum_over_containers(pod, _spec_request)
    total.update(_pod_level(pod.spec.resources))
    return _plus_overhead(total, pod)


def scoring_request(pod: Pod) -> Amounts:
    """Return what the score of NodeResourcesFit takes a pod to be placed for.

    Containers that say nothing about CPU or memory count with `NON_ZERO_DEFAULTS`, and pod-level
    requests are ignored: kube-scheduler 1.36 builds this scorer without them.
    """
    total = _sum_over_containers(pod, _with_defaults(_spec_request, NON_ZERO_DEFAULTS))
    return _plus_overhead(total, pod)


def occupied(pod: Pod) -> Amounts:
    """Return what a pod on a node takes: a resize in progress counts with the larger amount."""
    total = _sum_over_containers(pod, _allocated_request(pod))
    total.update(_allocated_pod_level(pod))
    return _plus_overhead(total, pod)


def scoring_occupied(pod: Pod) -> Amounts:
    """Return what a pod on a node counts for in the score of NodeResourcesFit."""
    request_of = _allocated_request(pod)
    defaults = NON_ZERO_DEFAULTS
    if _pod_level(pod.spec.resources):
        named = occupied(pod)
        defaults = {name: value for name, value in defaults.items() if name not in named}
    total = _sum_over_containers(pod, _with_defaults(request_of, defaults))
    total.update(_allocated_pod_level(pod))
    return _plus_overhead(total, pod)


def _sum_over_containers(pod: Pod, request_of: RequestOf) -> Amounts:
    """Return the larger of "all running" and "the hungriest step of starting up"."""
    running = _add_all(request_of(container) for container in pod.spec.containers)
    started: Amounts = {}
    starting: Amounts = {}
    for container in pod.spec.init_containers:
        request = request_of(container)
        if container.is_sidecar:
            _add(started, request)
            _add(running, request)
            need = started
        else:
            need = _add_all((request, started))
        for name, amount in need.items():
            starting[name] = max(starting.get(name, 0), amount)
    for name, amount in starting.items():
        running[name] = max(running.get(name, 0), amount)
    return running


def _spec_request(container: Container) -> Amounts:
    return to_amounts(container.resources.requests)


def _with_defaults(request_of: RequestOf, defaults: Amounts) -> RequestOf:
    return lambda container: {**defaults, **request_of(container)}


def _allocated_request(pod: Pod) -> RequestOf:
    """Return the request of a container as the kubelet's status and the spec together give it."""
    statuses = {
        status.name: status
        for status in (*pod.status.container_statuses, *pod.status.init_container_statuses)
        if status.resources is not None or status.allocated_resources
    }
    if not statuses:
        return _spec_request
    is_infeasible = _is_resize_infeasible(pod)

    def request_of(container: Container) -> Amounts:
        request = _spec_request(container)
        status = statuses.get(container.name)
        if status is None or status.resources is None:
            return request
        return _largest(*_status_amounts(status), *(() if is_infeasible else (request,)))

    return request_of


def _status_amounts(status: ContainerStatus) -> tuple[Amounts, Amounts]:
    actual = to_amounts(status.resources.requests) if status.resources else {}
    return actual, to_amounts(status.allocated_resources)


def _is_resize_infeasible(pod: Pod) -> bool:
    condition = pod.condition("PodResizePending")
    return condition is not None and condition.reason == "Infeasible"


def _pod_level(resources: ResourceRequirements | None) -> Amounts:
    """Return the pod-level requests, of the resources that have such a thing."""
    if resources is None:
        return {}
    requests = resources.requests
    return to_amounts({name: requests[name] for name in requests if _has_pod_level(name)})


def _has_pod_level(name: str) -> bool:
    return name in ("cpu", "memory") or name.startswith("hugepages-")


def _allocated_pod_level(pod: Pod) -> Amounts:
    wanted = _pod_level(pod.spec.resources)
    if not wanted or pod.status.resources is None:
        return wanted
    actual = to_amounts(pod.status.resources.requests)
    allocated = to_amounts(pod.status.allocated_resources)
    spec = {} if _is_resize_infeasible(pod) else wanted
    largest = _largest(actual, allocated, spec)
    return {name: largest.get(name, 0) for name in wanted}


def _plus_overhead(total: Amounts, pod: Pod) -> Amounts:
    _add(total, to_amounts(pod.spec.overhead))
    return total


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = min(total.get(name, 0) + amount, _INT64_MAX)


def _add_all(parts: Iterable[Amounts]) -> Amounts:
    total: Amounts = {}
    for part in parts:
        _add(total, part)
    return total


def _largest(*parts: Amounts) -> Amounts:
    largest: Amounts = {}
    for part in parts:
        for name, amount in part.items():
            largest[name] = max(largest.get(name, amount), amount)
    return largest
