"""CPUs of their own for containers: the policy static of the CPU manager.

Rule: https://kubernetes.io/docs/tasks/administer-cluster/cpu-management-policies/
Whoever has none of their own runs in the shared pool, which shrinks and grows. Reserved CPUs are
never given away; they are part of the shared pool unless they are reserved strictly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from kubeberth.topology.cpu_options import (
    ACROSS_CORES,
    ACROSS_NUMA,
    ALIGN_BY_SOCKET,
    BY_UNCORE,
    FULL_PCPUS_ONLY,
    STRICT_RESERVATION,
    CpuOptions,
)
from kubeberth.topology.cpuset import NO_CPUS, Cpus
from kubeberth.topology.hint import NO_OPINION, Hint, Hints, hints_where
from kubeberth.topology.machine import Machine
from kubeberth.topology.masks import Mask
from kubeberth.topology.packing import Packing, Shortage, pack
from kubeberth.topology.refusal import Refusal, unexpected
from kubeberth.topology.requests import ContainerRequest, PodRequest, Role
from kubeberth.topology.spreading import spread_out

CPU = "cpu"
SMT_ALIGNMENT_ERROR = "SMTAlignmentError"
EMPTY_POOL_ERROR = "EmptyPodSharedPoolError"


@dataclass(frozen=True, slots=True)
class CpuState:
    """Who has which CPUs.

    Parameters
    ----------
    shared
        The shared pool.
    assigned
        By pod and container. Containers of one pod may have CPUs in common.
    pools
        What a pod has as a whole, by pod; its containers have parts of it.
    reusable
        The pod that was last given CPUs, and those of its init containers that nobody has since.
        It goes without saying after a restart, and is not kept.
    """

    shared: Cpus = NO_CPUS
    assigned: Mapping[str, Mapping[str, Cpus]] = field(default_factory=dict)
    pools: Mapping[str, Cpus] = field(default_factory=dict)
    reusable: tuple[str, Cpus] = ("", NO_CPUS)

    def reusable_by(self, pod: PodRequest) -> Cpus:
        """Return the CPUs of a pod's init containers that its other containers may have."""
        uid, cpus = self.reusable
        return cpus if uid == pod.uid else NO_CPUS

    def of(self, pod: PodRequest, container: ContainerRequest) -> Cpus | None:
        """Return a container's CPUs; None if it was given none."""
        return self.assigned.get(pod.uid, {}).get(container.name)

    def giving(self, pod: PodRequest, container: ContainerRequest, cpus: Cpus) -> CpuState:
        """Return the state once a container has CPUs; the shared pool is as before."""
        containers = {**self.assigned.get(pod.uid, {}), container.name: cpus}
        return replace(self, assigned={**self.assigned, pod.uid: containers})

    def without(self, uid: str) -> CpuState:
        """Return the state once a pod is gone."""
        freed = self.pools.get(uid, NO_CPUS).union(*self.assigned.get(uid, {}).values())
        return replace(
            self,
            shared=self.shared | freed,
            assigned={key: value for key, value in self.assigned.items() if key != uid},
            pools={key: value for key, value in self.pools.items() if key != uid},
        )


@dataclass(frozen=True)
class StaticCpuPolicy:
    """Gives out CPUs.

    Parameters
    ----------
    reserved
        CPUs that nobody may have for himself.
    """

    machine: Machine
    reserved: Cpus
    options: CpuOptions

    def initial(self) -> CpuState:
        """Return the state of an empty node."""
        return CpuState(self.pool)

    @property
    def pool(self) -> Cpus:
        """The shared pool of an empty node."""
        every = self.machine.cpus
        return every - self.reserved if STRICT_RESERVATION in self.options else every

    @cached_property
    def _reserved_cores(self) -> Cpus:
        """All CPUs of the cores that have a reserved one."""
        cores = {self.machine.core_of_cpu[cpu].id for cpu in self.reserved}
        return NO_CPUS.union(*(self.machine.cpus_of_core[id_] for id_ in cores))

    def hints(self, state: CpuState, pod: PodRequest, container: ContainerRequest) -> Hints:
        """Return where a container could have its CPUs."""
        if not container.cpus:
            return NO_OPINION
        own = state.of(pod, container)
        if own is None:
            return {CPU: self._hints(state, state.reusable_by(pod), container.cpus)}
        if len(own) != container.cpus:
            return {CPU: []}
        return {CPU: self._covering(own)}

    def pod_hints(self, state: CpuState, pod: PodRequest) -> Hints:
        """Return where all containers of a pod together could have their CPUs."""
        if not pod.cpus:
            return NO_OPINION
        if pod.is_pooled and _flaw_of_pool(pod):
            return {CPU: []}
        owned = {one.name: state.of(pod, one) for one in pod.containers}
        for one in pod.containers:
            own = owned[one.name]
            if own is not None and len(own) != one.cpus:
                return {CPU: []}
        assigned = NO_CPUS.union(*(own for own in owned.values() if own is not None))
        if len(assigned) == pod.cpus:
            return {CPU: self._covering(assigned)}
        return {CPU: self._hints(state, state.reusable_by(pod) | assigned, pod.cpus)}

    def _hints(self, state: CpuState, reusable: Cpus, count: int) -> list[Hint]:
        return self._hints_among(self._available(state), reusable, count)

    def _covering(self, own: Cpus) -> list[Hint]:
        """Return the hints for somebody who has his CPUs already."""
        return self._hints_among(own, NO_CPUS, len(own))

    def _hints_among(self, available: Cpus, reusable: Cpus, count: int) -> list[Hint]:
        """Return where `count` CPUs could be had; what is reused must be among it.

        CPUs that are both available and reusable count twice, as they do upstream.
        """
        every = self.machine.cpus_of_numa_node
        free = {id_: len(cpus & available) + len(cpus & reusable) for id_, cpus in every.items()}
        needed = {self.machine.numa_of_cpu[cpu] for cpu in reusable}

        def could_ever(mask: Mask) -> bool:
            return sum(len(every[id_]) for id_ in every if mask >> id_ & 1) >= count

        def can_now(mask: Mask) -> bool:
            return (
                all(mask >> id_ & 1 for id_ in needed)
                and sum(free[id_] for id_ in every if mask >> id_ & 1) >= count
            )

        return hints_where(sorted(every), could_ever, can_now, self._is_socket_aligned)

    def _is_socket_aligned(self, mask: Mask, least: int) -> bool:
        """Return whether NUMA nodes are of no more sockets than the least number of nodes needs."""
        if ALIGN_BY_SOCKET not in self.options:
            return False
        per_socket = len(self.machine.cpus_of_numa_node) // len(self.machine.cpus_of_socket)
        return len(self.machine.sockets_in(mask)) == -(-least // per_socket)

    def allocate(
        self, state: CpuState, pod: PodRequest, container: ContainerRequest, affinity: Mask | None
    ) -> CpuState | Refusal:
        """Give a container its CPUs, on the NUMA nodes of the affinity as far as they go."""
        if not container.cpus:
            return state
        if refusal := self._misaligned(state, container.cpus):
            return refusal
        own = state.of(pod, container)
        if own is None:
            cpus = self._found(state, state.reusable_by(pod), container.cpus, affinity)
            if isinstance(cpus, Shortage):
                return unexpected(str(cpus))
            state = replace(state, shared=state.shared - cpus).giving(pod, container, cpus)
            own = cpus
        reusable = state.reusable_by(pod)
        reusable = reusable | own if container.role is Role.INIT else reusable - own
        return replace(state, reusable=(pod.uid, reusable))

    def allocate_pod(
        self, state: CpuState, pod: PodRequest, affinity: Mask | None
    ) -> CpuState | Refusal:
        """Give a pod the CPUs that it asks for as a whole, and its containers their parts."""
        if not pod.cpus:
            return state
        if flaw := _flaw_of_pool(pod):
            return Refusal(EMPTY_POOL_ERROR, flaw)
        if refusal := self._misaligned(state, pod.cpus):
            return refusal
        cpus = self._found(state, NO_CPUS, pod.cpus, affinity)
        if isinstance(cpus, Shortage):
            return unexpected(str(cpus))
        state = replace(state, shared=state.shared - cpus, pools={**state.pools, pod.uid: cpus})
        for container, part in self._parts(pod, cpus):
            state = state.giving(pod, container, part)
        return state

    def _parts(self, pod: PodRequest, pool: Cpus) -> Iterator[tuple[ContainerRequest, Cpus]]:
        """Yield what each container has of its pod's CPUs.

        Init containers run one after the other, in all that sidecars have left until then.
        """
        left, sharing = pool, []
        for one in pod.containers:
            usable = left
            if one.cpus:
                taken = self._take(left, one.cpus)
                assert not isinstance(taken, Shortage), "a pod's containers ask for no more than it"
                usable = taken
                if one.role is not Role.INIT:
                    left -= taken
            elif one.role is not Role.INIT:
                sharing.append(one)
                continue
            yield one, usable
        for one in sharing:
            yield one, left

    def _misaligned(self, state: CpuState, count: int) -> Refusal | None:
        """Return why a request cannot be met by whole cores, if it has to be."""
        if FULL_PCPUS_ONLY not in self.options:
            return None
        width = self.machine.cpus_per_core
        if count % width:
            why = f"requested {count} cpus not multiple cpus per core = {width}"
            return Refusal(SMT_ALIGNMENT_ERROR, f"SMT Alignment Error: {why}")
        n_free = len(state.shared - self._reserved_cores)
        if count > n_free:
            why = (
                f"not enough free physical CPUs: available physical CPUs = {n_free}, "
                f"requested CPUs = {count}, CPUs per core = {width}"
            )
            return Refusal(SMT_ALIGNMENT_ERROR, f"SMT Alignment Error: {why}")
        return None

    def _found(
        self, state: CpuState, reusable: Cpus, count: int, affinity: Mask | None
    ) -> Cpus | Shortage:
        """Return CPUs for a request: aligned ones first, then any."""
        available = self._available(state) | reusable
        aligned: Cpus | Shortage = NO_CPUS
        if affinity is not None:
            near = self._near(affinity) & available
            aligned = self._take(near, min(count, len(near)))
        if isinstance(aligned, Shortage):
            return aligned
        rest = self._take(available - aligned, count - len(aligned))
        return rest if isinstance(rest, Shortage) else aligned | rest

    def _near(self, affinity: Mask) -> Cpus:
        if ALIGN_BY_SOCKET not in self.options:
            return self.machine.cpus_in(affinity)
        sockets = self.machine.sockets_in(affinity)
        return NO_CPUS.union(*(self.machine.cpus_of_socket[id_] for id_ in sockets))

    def _take(self, available: Cpus, count: int) -> Cpus | Shortage:
        return take(self.machine, available, count, self.options)

    def _available(self, state: CpuState) -> Cpus:
        return state.shared - self.reserved


def take(machine: Machine, available: Cpus, count: int, options: CpuOptions) -> Cpus | Shortage:
    """Return `count` of the available CPUs, chosen as the options say."""
    how = Packing(by_uncore=BY_UNCORE in options, across_cores=ACROSS_CORES in options)
    if ACROSS_NUMA not in options:
        return pack(machine, available, count, how)
    group = machine.cpus_per_core if FULL_PCPUS_ONLY in options else 1
    return spread_out(machine, available, count, group, how)


def _flaw_of_pool(pod: PodRequest) -> str:
    """Return why a pod's CPUs do not go round; empty when they do."""
    exclusive, has_sharing = 0, False
    for one in pod.containers:
        if one.role is not Role.INIT:
            exclusive += one.cpus
            has_sharing |= not one.cpus
        elif one.cpus > pod.cpus - exclusive:
            return (
                f"pod rejected, largest exclusive init container requests {one.cpus} cpus, "
                f"but only {pod.cpus - exclusive} available"
            )
        elif not one.cpus and exclusive >= pod.cpus:
            return "pod rejected, pod has shared init containers but no cpus available for them"
    if has_sharing and exclusive >= pod.cpus:
        return (
            "pod rejected, sum of exclusive container cpu requests equals pod budget, "
            "leaving no cpus for shared containers"
        )
    return ""
