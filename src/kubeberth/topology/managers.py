"""The resource managers of one kubelet, and how a pod goes through them.

    hints of devices, CPUs, memory -> the topology policy's best one -> devices, CPUs, memory

In the scope container this is done for one container after the other, in the scope pod the hints
are merged once for the whole pod. Matches kubelet 1.36 (`topologymanager/scope_*.go`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from kubeberth.topology.cpus import CpuState, StaticCpuPolicy
from kubeberth.topology.devices import DevicePolicy, DeviceState, Plugins
from kubeberth.topology.hint import NO_OPINION, Hint, Hints
from kubeberth.topology.memory import MemoryState, StaticMemoryPolicy
from kubeberth.topology.merge import TopologyPolicy
from kubeberth.topology.refusal import TOPOLOGY_AFFINITY, TOPOLOGY_AFFINITY_ERROR, Refusal
from kubeberth.topology.requests import ContainerRequest, PodRequest, regular_init_containers
from kubeberth.topology.topology_options import POD_SCOPE

_LEVEL = "Pod Scope pod with pod-level resources failed admission"
POOL_IN_POD_SCOPE = Refusal(TOPOLOGY_AFFINITY_ERROR, f"{_LEVEL} under pod-scope topology manager")
POOL_IN_CONTAINER_SCOPE = Refusal(
    TOPOLOGY_AFFINITY_ERROR, f"{_LEVEL} with a container-level topology manager"
)
# What is stored where nobody asked for hints.
NO_AFFINITY = Hint(None, preferred=False)


@dataclass(frozen=True, slots=True)
class Allocations:
    """Who has what of a node."""

    cpus: CpuState = field(default_factory=CpuState)
    memory: MemoryState = field(default_factory=MemoryState)
    devices: DeviceState = field(default_factory=DeviceState)

    def without(self, uid: str) -> Allocations:
        """Return the allocations once a pod is gone, or refused."""
        return Allocations(
            self.cpus.without(uid), self.memory.without(uid), self.devices.without(uid)
        )

    def pods(self) -> frozenset[str]:
        """Return the pods that have anything."""
        return frozenset((*self.cpus.assigned, *self.memory.blocks, *self.devices.held))


@dataclass(frozen=True, slots=True)
class Merge:
    """One question to the topology policy, and its answer.

    Parameters
    ----------
    container
        Whom it is about; empty for a whole pod.
    hints
        What the managers said.
    """

    container: str
    hints: Hints
    best: Hint
    is_admitted: bool


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of a pod.

    Parameters
    ----------
    allocations
        Afterwards. Of a refused pod they still have what it was given before it was refused: the
        kubelet takes that back when it looks for leftovers, with `Allocations.without`.
    refusal
        None when it is admitted.
    merges
        In order; the last one may be the refusing one.
    """

    allocations: Allocations
    refusal: Refusal | None = None
    merges: tuple[Merge, ...] = ()


@dataclass(frozen=True, slots=True)
class Managers:
    """The managers of a kubelet that has started.

    Parameters
    ----------
    topology
        None for the policy none: nobody asks for hints.
    cpus, memory
        None for the policies none and None: nobody gets any for himself.
    """

    topology: TopologyPolicy | None
    scope: str
    cpus: StaticCpuPolicy | None
    memory: StaticMemoryPolicy | None
    devices: DevicePolicy

    @classmethod
    def idle(cls) -> Managers:
        """Return the managers of a node that has nothing to give out."""
        return cls(None, "", None, None, DevicePolicy({}))

    @property
    def is_idle(self) -> bool:
        """Whether no pod can ask these for anything."""
        no_policy = self.topology is None and self.cpus is None and self.memory is None
        return no_policy and not self.devices.plugins

    def with_plugins(self, plugins: Plugins) -> Managers:
        """Return the managers once the device plugins have other devices."""
        return replace(self, devices=DevicePolicy(plugins))

    def initial(self) -> Allocations:
        """Return the allocations of an empty node."""
        return Allocations(
            self.cpus.initial() if self.cpus is not None else CpuState(),
            self.memory.initial() if self.memory is not None else MemoryState(),
        )

    def admit(self, allocations: Allocations, pod: PodRequest) -> Admission:
        """Give a pod what it asks for, or say why not."""
        if self.topology is None:
            return self._admit_containers(allocations, pod, NO_AFFINITY)
        if self.scope != POD_SCOPE:
            return self._admit_one_by_one(allocations, pod, self.topology)
        hints = self._pod_hints(allocations, pod)
        best, is_admitted = self.topology.merge(hints)
        merges = (Merge("", _together(hints), best, is_admitted),)
        if not is_admitted:
            refusal = POOL_IN_POD_SCOPE if pod.is_pooled else TOPOLOGY_AFFINITY
            return Admission(allocations, refusal, merges)
        if pod.is_pooled:
            return replace(self._admit_pool(allocations, pod, best), merges=merges)
        return replace(self._admit_containers(allocations, pod, best), merges=merges)

    def _admit_one_by_one(
        self, allocations: Allocations, pod: PodRequest, policy: TopologyPolicy
    ) -> Admission:
        merges: tuple[Merge, ...] = ()
        for one in pod.containers:
            hints = self._hints(allocations, pod, one)
            best, is_admitted = policy.merge(hints)
            merges += (Merge(one.name, _together(hints), best, is_admitted),)
            if not is_admitted:
                refusal = POOL_IN_CONTAINER_SCOPE if pod.is_pooled else TOPOLOGY_AFFINITY
                return Admission(allocations, refusal, merges)
            allocations, failure = self._allocate(allocations, pod, one, best)
            if failure is not None:
                return Admission(allocations, failure, merges)
        return Admission(allocations, merges=merges)

    def _admit_containers(
        self, allocations: Allocations, pod: PodRequest, affinity: Hint
    ) -> Admission:
        for one in pod.containers:
            allocations, refusal = self._allocate(allocations, pod, one, affinity)
            if refusal is not None:
                return Admission(allocations, refusal)
        return Admission(allocations)

    def _hints(
        self, allocations: Allocations, pod: PodRequest, one: ContainerRequest
    ) -> tuple[Hints, ...]:
        cpus, memory = self.cpus, self.memory
        return (
            self.devices.hints(allocations.devices, pod, one),
            cpus.hints(allocations.cpus, pod, one) if cpus is not None else NO_OPINION,
            memory.hints(allocations.memory, pod, one) if memory is not None else NO_OPINION,
        )

    def _pod_hints(self, allocations: Allocations, pod: PodRequest) -> tuple[Hints, ...]:
        cpus, memory = self.cpus, self.memory
        return (
            self.devices.pod_hints(allocations.devices, pod),
            cpus.pod_hints(allocations.cpus, pod) if cpus is not None else NO_OPINION,
            memory.pod_hints(allocations.memory, pod) if memory is not None else NO_OPINION,
        )

    def _allocate(
        self, allocations: Allocations, pod: PodRequest, one: ContainerRequest, affinity: Hint
    ) -> tuple[Allocations, Refusal | None]:
        """Return the allocations with what a container could be given, and why not all of it."""
        devices = self.devices.allocate(allocations.devices, pod, one, affinity.mask)
        if isinstance(devices, Refusal):
            return allocations, devices
        allocations = replace(allocations, devices=devices)
        if self.cpus is not None:
            cpus = self.cpus.allocate(allocations.cpus, pod, one, affinity.mask)
            if isinstance(cpus, Refusal):
                return allocations, cpus
            allocations = replace(allocations, cpus=cpus)
        if self.memory is not None:
            memory = self.memory.allocate(allocations.memory, pod, one, affinity)
            if isinstance(memory, Refusal):
                return allocations, memory
            allocations = replace(allocations, memory=memory)
        return allocations, None

    def _admit_pool(self, allocations: Allocations, pod: PodRequest, affinity: Hint) -> Admission:
        """Give a pod its CPUs and memory as a whole.

        Its containers get no devices: the device manager of 1.36 does not know such pods.
        """
        if self.cpus is not None:
            cpus = self.cpus.allocate_pod(allocations.cpus, pod, affinity.mask)
            if isinstance(cpus, Refusal):
                return Admission(allocations, cpus)
            allocations = replace(allocations, cpus=cpus)
        if self.memory is not None:
            memory = self.memory.allocate_pod(allocations.memory, pod, affinity)
            if isinstance(memory, Refusal):
                return Admission(allocations, memory)
            allocations = replace(allocations, memory=memory)
        return Admission(allocations)

    def started(self, allocations: Allocations, pod: PodRequest, container: str) -> Allocations:
        """Return the allocations once a container has started.

        The init containers before it have ended: their memory is free again; their CPUs and
        devices stay with the pod.
        """
        ended = [one.name for one in regular_init_containers(pod.containers, before=container)]
        memory = allocations.memory.without_containers(pod.uid, ended)
        return replace(allocations, memory=memory)


def _together(provided: Iterable[Hints]) -> Hints:
    return {resource: hints for answers in provided for resource, hints in answers.items()}
