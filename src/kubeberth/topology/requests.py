"""What a pod and its containers ask the resource managers for.

Who gets CPUs and memory of their own: containers of Guaranteed pods, CPUs by whole numbers. A pod
with pod-level resources gets none unless the gate PodLevelResourceManagers is on; then the pod has
what `spec.resources` says, and those of its containers that would be Guaranteed by themselves have
a part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from kubeberth.api.core import Container, Pod, ResourceList, ResourceRequirements
from kubeberth.api.qos import quality_of
from kubeberth.api.quantity import int_value, milli_value, parse_quantity

Amounts = Mapping[str, int]

GUARANTEED = "Guaranteed"


class Role(Enum):
    """When a container runs."""

    INIT = "to its end, before the others start"
    SIDECAR = "from the start, beside the others"
    APP = "after the init containers"


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    """What one container asks for.

    Parameters
    ----------
    cpus
        CPUs of its own.
    memory
        Memory and huge pages of its own, in bytes by resource name.
    limits
        Whole amounts of every resource that the container has a limit of; devices are among them.
    """

    name: str
    role: Role
    cpus: int
    memory: Amounts
    limits: Amounts


@dataclass(frozen=True, slots=True)
class PodRequest:
    """What a pod asks for.

    Parameters
    ----------
    containers
        In the order in which they start: init containers and sidecars first.
    pins_memory
        Whether its memory is bound to NUMA nodes.
    is_pooled
        Whether the pod's containers share what the pod as a whole is given.
    pool_cpus, pool_memory
        What a pooled pod asks for as a whole.
    """

    uid: str
    containers: tuple[ContainerRequest, ...]
    pins_memory: bool
    is_pooled: bool = False
    pool_cpus: int = 0
    pool_memory: Amounts = field(default_factory=dict)

    @property
    def cpus(self) -> int:
        """How many CPUs of their own its containers need at most at a time."""
        return self.pool_cpus if self.is_pooled else self.peak(lambda one: one.cpus)

    @property
    def memory(self) -> Amounts:
        """How much its containers need at most at a time, of what its app containers ask for."""
        if self.is_pooled:
            return self.pool_memory
        apps = [one for one in self.containers if one.role is Role.APP]
        names = sorted({name for one in apps for name in one.memory})
        return {name: self.peak(_of(name)) for name in names}

    def limit(self, resource: str) -> int:
        """Return how much of a resource its containers may use at most at a time."""
        return self.peak(lambda one: one.limits.get(resource, 0))

    def peak(self, amount_of: Callable[[ContainerRequest], int]) -> int:
        """Return the larger of what runs at last, and the hungriest step of starting up."""
        sidecars = starting = apps = 0
        for one in self.containers:
            if one.role is Role.APP:
                apps += amount_of(one)
            elif one.role is Role.SIDECAR:
                sidecars += amount_of(one)
            else:
                starting = max(starting, sidecars + amount_of(one))
        return max(starting, sidecars + apps)


def _of(name: str) -> Callable[[ContainerRequest], int]:
    return lambda one: one.memory.get(name, 0)


def pod_request(pod: Pod, *, pools: bool) -> PodRequest:
    """Return what a pod asks for.

    Parameters
    ----------
    pools
        Whether PodLevelResourceManagers is on.
    """
    level = pod.spec.resources
    has_level = level is not None and _has_pod_level(level)
    is_guaranteed = quality_of(pod) == GUARANTEED
    pins = is_guaranteed and (pools or not has_level)
    is_pooled = pools and has_level
    containers = tuple(
        _container_request(container, role, is_pinned=pins and _may_pin(container, is_pooled))
        for container, role in _containers(pod)
    )
    request = PodRequest(_uid(pod), containers, pins)
    if not is_pooled or level is None:
        return request
    amounts = level.requests if is_guaranteed else {}
    memory = {name: size for name, size in _memory(amounts).items() if size > 0}
    return PodRequest(_uid(pod), containers, pins, True, _whole_cpus(amounts), memory)


def _uid(pod: Pod) -> str:
    return pod.metadata.uid or pod.metadata.key


def _has_pod_level(level: ResourceRequirements) -> bool:
    return any(
        name in ("cpu", "memory") or name.startswith("hugepages-")
        for name in (*level.requests, *level.limits)
    )


def _containers(pod: Pod) -> Iterator[tuple[Container, Role]]:
    for container in pod.spec.init_containers:
        yield container, Role.SIDECAR if container.is_sidecar else Role.INIT
    for container in pod.spec.containers:
        yield container, Role.APP


def _may_pin(container: Container, is_pooled: bool) -> bool:
    """Return whether a container of a pod that may have something of its own may have it, too."""
    if not is_pooled:
        return True
    requests, limits = container.resources.requests, container.resources.limits
    return all(
        name in requests
        and name in limits
        and parse_quantity(requests[name]).nanos == parse_quantity(limits[name]).nanos > 0
        for name in ("cpu", "memory")
    )


def _container_request(container: Container, role: Role, *, is_pinned: bool) -> ContainerRequest:
    requests = container.resources.requests if is_pinned else {}
    limits = {name: int_value(amount) for name, amount in container.resources.limits.items()}
    return ContainerRequest(container.name, role, _whole_cpus(requests), _memory(requests), limits)


def _whole_cpus(requests: ResourceList) -> int:
    """Return a request for CPU if it is a whole number, else 0."""
    millis = milli_value(requests.get("cpu", "0"))
    return millis // 1000 if millis % 1000 == 0 else 0


def _memory(requests: ResourceList) -> dict[str, int]:
    return {
        name: int_value(amount)
        for name, amount in requests.items()
        if name == "memory" or name.startswith("hugepages-")
    }


def regular_init_containers(
    containers: Sequence[ContainerRequest], before: str
) -> Iterator[ContainerRequest]:
    """Yield the init containers that have ended when another container starts."""
    for one in containers:
        if one.name == before:
            return
        if one.role is Role.INIT:
            yield one
