"""Devices for containers: what the device manager keeps account of.

Rule: https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/
Pods of every quality of service get devices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import islice

from kubeberth.topology.hint import Hint, Hints, hints_where
from kubeberth.topology.masks import Mask, members
from kubeberth.topology.refusal import Refusal, unexpected
from kubeberth.topology.requests import ContainerRequest, PodRequest, Role

Ids = frozenset[str]
NO_IDS: Ids = frozenset()

HIGHEST = "highest"


@dataclass(frozen=True, slots=True)
class Device:
    """One device.

    Parameters
    ----------
    mask
        The NUMA nodes that it is near to, maybe none; None when its plugin says nothing of them.
    """

    mask: Mask | None = None
    is_healthy: bool = True


@dataclass(frozen=True, slots=True)
class DevicePlugin:
    """The devices of one extended resource.

    Parameters
    ----------
    devices
        By id.
    preferred
        Which devices the plugin prefers to give away: `highest` ids, or nothing.
    """

    devices: Mapping[str, Device]
    preferred: str = ""

    @property
    def healthy(self) -> Ids:
        """Ids of the devices that can be given away."""
        return frozenset(id_ for id_, device in self.devices.items() if device.is_healthy)

    @property
    def has_topology(self) -> bool:
        """Whether any device is near to a NUMA node."""
        return any(device.mask for device in self.devices.values())

    def preference(self, available: Ids, included: Ids, count: int) -> Ids:
        """Return which `count` of the available devices the plugin prefers, some included."""
        if self.preferred != HIGHEST:
            return NO_IDS
        others = sorted(available - included, reverse=True)
        return included | frozenset(others[: max(0, count - len(included))])


# By resource.
Plugins = Mapping[str, DevicePlugin]
Held = Mapping[str, Mapping[str, Mapping[str, Ids]]]


@dataclass(frozen=True, slots=True)
class DeviceState:
    """Who has which devices.

    Parameters
    ----------
    held
        By pod, container and resource. Containers of one pod may have devices in common.
    reusable
        The pod that was last given devices, and by resource those of its init containers that
        nobody has since. It goes without saying after a restart, and is not kept.
    """

    held: Held = field(default_factory=dict)
    reusable: tuple[str, Mapping[str, Ids]] = ("", {})

    def reusable_by(self, pod: PodRequest) -> Mapping[str, Ids]:
        """Return the devices of a pod's init containers that its other containers may have."""
        uid, ids = self.reusable
        return ids if uid == pod.uid else {}

    def of(self, pod: PodRequest, container: ContainerRequest, resource: str) -> Ids:
        """Return a container's devices of a resource."""
        return self.held.get(pod.uid, {}).get(container.name, {}).get(resource, NO_IDS)

    def of_pod(self, pod: PodRequest, resource: str) -> Ids:
        """Return all of a pod's devices of a resource."""
        return NO_IDS.union(*(self.of(pod, one, resource) for one in pod.containers))

    def taken(self, resource: str) -> Ids:
        """Return the devices of a resource that anybody has."""
        return NO_IDS.union(
            *(
                resources.get(resource, NO_IDS)
                for containers in self.held.values()
                for resources in containers.values()
            )
        )

    @property
    def resources(self) -> frozenset[str]:
        """The resources that anybody has devices of."""
        return frozenset(
            resource
            for containers in self.held.values()
            for resources in containers.values()
            for resource in resources
        )

    def giving(
        self, pod: PodRequest, container: ContainerRequest, resource: str, ids: Ids
    ) -> DeviceState:
        """Return the state once a container has devices."""
        containers = self.held.get(pod.uid, {})
        resources = {**containers.get(container.name, {}), resource: ids}
        return replace(self, held={**self.held, pod.uid: {**containers, container.name: resources}})

    def without(self, uid: str) -> DeviceState:
        """Return the state once a pod is gone."""
        return replace(self, held={key: value for key, value in self.held.items() if key != uid})


@dataclass(frozen=True, slots=True)
class DevicePolicy:
    """Gives out devices.

    Parameters
    ----------
    plugins
        The device plugins that are registered, with the devices that they have now.
    """

    plugins: Plugins

    def hints(self, state: DeviceState, pod: PodRequest, container: ContainerRequest) -> Hints:
        """Return where a container could have its devices."""
        reusable = state.reusable_by(pod)
        return {
            resource: self._hints(
                state,
                resource,
                state.of(pod, container, resource),
                reusable.get(resource, NO_IDS),
                container.limits[resource],
            )
            for resource in self._resources(state, container)
        }

    def pod_hints(self, state: DeviceState, pod: PodRequest) -> Hints:
        """Return where all containers of a pod together could have their devices."""
        resources = {name for one in pod.containers for name in self._resources(state, one)}
        return {
            resource: self._hints(
                state, resource, state.of_pod(pod, resource), NO_IDS, pod.limit(resource)
            )
            for resource in sorted(resources)
        }

    def _resources(self, state: DeviceState, container: ContainerRequest) -> list[str]:
        """Return the resources of which a container asks for devices; their order is anybody's."""
        known = self.plugins.keys() | state.resources
        return sorted(container.limits.keys() & known)

    def _hints(
        self, state: DeviceState, resource: str, own: Ids, reusable: Ids, count: int
    ) -> list[Hint] | None:
        plugin = self.plugins.get(resource)
        if plugin is None or not plugin.has_topology:
            return None
        if own:
            return _hints_among(plugin, own, NO_IDS, count) if len(own) == count else []
        available = plugin.healthy - state.taken(resource)
        if len(available | reusable) < count:
            return []
        return _hints_among(plugin, available, reusable, count)

    def allocate(
        self,
        state: DeviceState,
        pod: PodRequest,
        container: ContainerRequest,
        affinity: Mask | None,
    ) -> DeviceState | Refusal:
        """Give a container its devices, those near to the NUMA nodes of the affinity first."""
        for resource in self._resources(state, container):
            ids = self._found(state, pod, container, resource, affinity)
            if isinstance(ids, str):
                return unexpected(ids)
            if ids:
                state = state.giving(pod, container, resource, ids)
        reusable = dict(state.reusable_by(pod))
        for resource, ids in state.held.get(pod.uid, {}).get(container.name, {}).items():
            before = reusable.get(resource, NO_IDS)
            reusable[resource] = before | ids if container.role is Role.INIT else before - ids
        return replace(state, reusable=(pod.uid, reusable))

    def _found(
        self,
        state: DeviceState,
        pod: PodRequest,
        container: ContainerRequest,
        resource: str,
        affinity: Mask | None,
    ) -> Ids | str:
        """Return the devices for a container, those that it has already included, or an error."""
        own, count = state.of(pod, container, resource), container.limits[resource]
        if own and len(own) != count:
            return (
                f'pod "{pod.uid}" container "{container.name}" changed request for resource '
                f'"{resource}" from {len(own)} to {count}'
            )
        plugin = self.plugins.get(resource)
        if plugin is None:
            return f"cannot allocate unregistered device {resource}"
        if not plugin.healthy:
            return f"no healthy devices present; cannot allocate unhealthy devices {resource}"
        if not own <= plugin.healthy:
            return (
                "previously allocated devices are no longer healthy; "
                f"cannot allocate unhealthy devices {resource}"
            )
        if own or not count:
            return own
        reused = _lowest(state.reusable_by(pod).get(resource, NO_IDS), count)
        missing = count - len(reused)
        available = plugin.healthy - state.taken(resource)
        if len(available) < missing:
            return (
                f"requested number of devices unavailable for {resource}. "
                f"Requested: {missing}, Available: {len(available)}"
            )
        return _chosen(plugin, available, reused, count, affinity)

    def extra_allocatable(self, state: DeviceState) -> Mapping[str, int]:
        """Return how many devices of each resource are given away.

        A node has at least so many for the general predicates, even if their plugin is away.
        """
        return {resource: len(state.taken(resource)) for resource in state.resources}


def _lowest(ids: Iterable[str], count: int) -> Ids:
    return frozenset(islice(sorted(ids), count))


def _hints_among(plugin: DevicePlugin, available: Ids, reusable: Ids, count: int) -> list[Hint]:
    """Return where `count` devices could be had.

    Sets of those NUMA nodes that have any device of the resource. What is reused must be among
    it; a device without NUMA nodes is nowhere.
    """
    masks = {id_: device.mask or 0 for id_, device in plugin.devices.items()}
    numa_ids = members(reduce(lambda one, other: one | other, masks.values(), 0))
    reused = [
        masks[id_] for id_ in reusable if id_ in masks and plugin.devices[id_].mask is not None
    ]
    free = [masks[id_] for id_ in available if id_ in masks]

    def could_ever(mask: Mask) -> bool:
        return _near(masks.values(), mask) >= count

    def can_now(mask: Mask) -> bool:
        return all(mask & one for one in reused) and len(reused) + _near(free, mask) >= count

    return hints_where(numa_ids, could_ever, can_now)


def _near(masks: Iterable[Mask], mask: Mask) -> int:
    return sum(1 for one in masks if one & mask)


def _chosen(
    plugin: DevicePlugin, available: Ids, reused: Ids, count: int, affinity: Mask | None
) -> Ids:
    """Return the reused devices and as many of the available ones as are missing.

    Near ones first. Where there is a choice, what the plugin prefers comes first, then the lowest
    id; upstream takes any.
    """
    missing = count - len(reused)
    if not missing:
        return reused
    aligned, far, nowhere = _by_affinity(plugin, available, affinity)
    if missing < len(aligned):
        preferred = plugin.preference(aligned | reused, reused, count) & aligned
        order = _in_order(preferred, aligned)
    else:
        preferred = plugin.preference(available | reused | aligned, reused | aligned, count)
        order = _in_order(aligned, preferred & available, far, nowhere)
    return reused | frozenset(islice(order, missing))


def _in_order(*groups: Ids) -> Iterator[str]:
    """Yield the ids of each group in turn, each id once."""
    seen: set[str] = set()
    for group in groups:
        yield from sorted(group - seen)
        seen |= group


def _by_affinity(
    plugin: DevicePlugin, available: Ids, affinity: Mask | None
) -> tuple[Ids, Ids, Ids]:
    """Return the devices near to the NUMA nodes of the affinity, near to others, and the rest."""
    if affinity is None or not plugin.has_topology:
        return NO_IDS, NO_IDS, available
    masks = {id_: plugin.devices[id_].mask or 0 for id_ in available}
    aligned = frozenset(id_ for id_, mask in masks.items() if mask & affinity)
    nowhere = frozenset(id_ for id_, mask in masks.items() if not mask)
    return aligned, available - aligned - nowhere, nowhere
