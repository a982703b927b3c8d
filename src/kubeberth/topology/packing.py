"""Takes CPUs that lie close together: whole NUMA nodes and sockets, then cores, then single CPUs.

Matches kubelet 1.36 (`cpumanager/cpu_assignment.go`), the default way of its static CPU policy, and
the ways of `prefer-align-cpus-by-uncorecache` and `distribute-cpus-across-cores`.

Of elements alike the one with the fewest CPUs left comes first, then the one with the lowest id:
what is broken already is used up before something whole is broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kubeberth.topology.cpuset import NO_CPUS, Cpus
from kubeberth.topology.machine import Machine


@dataclass(frozen=True, slots=True)
class Shortage:
    """Fewer CPUs are there than asked for."""

    requested: int
    available: int

    def __str__(self) -> str:
        return (
            "not enough cpus available to satisfy request: "
            f"requested={self.requested}, available={self.available}"
        )


@dataclass(frozen=True, slots=True)
class Packing:
    """How to pack.

    Parameters
    ----------
    by_uncore
        Whether to break as few caches as possible, once no whole NUMA node or socket is needed.
    across_cores
        Whether to take CPUs of different cores rather than whole cores.
    """

    by_uncore: bool = False
    across_cores: bool = False


def pack(machine: Machine, available: Cpus, count: int, how: Packing) -> Cpus | Shortage:
    """Return `count` of the available CPUs."""
    if count <= 0:
        return NO_CPUS
    if count > len(available):
        return Shortage(count, len(available))
    taking = _Taking(machine, available, count)
    for step in _steps(taking, how):
        for cpus in step:
            taking.take(cpus)
        if not taking.needed:
            return taking.taken
    raise AssertionError(f"{count} CPUs are not found among {len(available)}")


def sorted_numa_nodes(machine: Machine, available: Cpus) -> list[int]:
    """Return the NUMA nodes with available CPUs, in the order in which packing tries them."""
    return _Taking(machine, available, 0).numa_nodes()


def _steps(taking: _Taking, how: Packing) -> Iterator[Iterable[Cpus]]:
    """Yield what to take, in order; each step is looked up when the one before it is done."""
    yield from taking.whole_domains()
    if how.by_uncore:
        yield taking.of_uncore_caches()
    if not how.across_cores:
        yield taking.whole_cores()
    yield taking.single_cpus(across_cores=how.across_cores)


class _Taking:
    """CPUs that are being taken.

    `left` are those to choose from, `needed` is how many are missing.
    """

    def __init__(self, machine: Machine, available: Cpus, count: int) -> None:
        self._machine = machine
        self.left = available
        self.taken = NO_CPUS
        self.needed = count

    def take(self, cpus: Cpus) -> None:
        """Take all of some CPUs."""
        self.taken |= cpus
        self.left -= cpus
        self.needed -= len(cpus)

    def whole_domains(self) -> Iterator[Iterable[Cpus]]:
        """Yield the whole free NUMA nodes and the whole free sockets that fit, small ones first."""
        if self._is_numa_first:
            yield self._whole_numa_nodes()
            yield self._whole_sockets()
        else:
            yield self._whole_sockets()
            yield self._whole_numa_nodes()

    @property
    def _is_numa_first(self) -> bool:
        machine = self._machine
        return len(machine.cpus_of_socket) >= len(machine.cpus_of_numa_node)

    def _whole_numa_nodes(self) -> Iterator[Cpus]:
        every = self._machine.cpus_of_numa_node
        ids = [id_ for id_ in self.numa_nodes() if every[id_] <= self.left]
        return self._fitting(every[id_] for id_ in ids)

    def _whole_sockets(self) -> Iterator[Cpus]:
        every, size = self._machine.cpus_of_socket, self._machine.cpus_per_socket
        ids = [id_ for id_ in self.sockets() if len(every[id_] & self.left) == size]
        return self._fitting(every[id_] for id_ in ids)

    def whole_cores(self) -> Iterator[Cpus]:
        """Yield the whole free cores that fit.

        A core counts as free by the mean width of cores, so that where they differ it may have a
        CPU that is taken.
        """
        every, size = self._machine.cpus_of_core, self._machine.cpus_per_core
        ids = [id_ for id_ in self._cores() if len(every[id_] & self.left) == size]
        return self._fitting(every[id_] for id_ in ids)

    def of_uncore_caches(self) -> Iterator[Cpus]:
        """Yield whole free cache groups, and of each group in turn just what is missing."""
        every = self._machine.cpus_of_uncore
        for id_ in self._uncore_caches():
            if self.needed >= self._machine.cpus_per_uncore:
                whole = [other for other in self._uncore_caches() if every[other] <= self.left]
                yield from self._fitting(every[other] for other in whole)
            if not self.needed:
                return
            if len(rest := self._rest_of_uncore(id_)) == self.needed:
                yield rest
                return

    def _rest_of_uncore(self, uncore: int) -> Cpus:
        """Return the free CPUs of as many of a group's cores as are missing, the lowest ones."""
        width = self._machine.cpus_per_core
        free = self._machine.cpus_of_uncore[uncore] & self.left
        cores = sorted({self._machine.core_of_cpu[cpu].id for cpu in free})
        n_cores = -(-self.needed // width)
        cpus = NO_CPUS.union(*(self._machine.cpus_of_core[id_] for id_ in cores[:n_cores]))
        cpus &= self.left
        if self.needed % 2 and width > 1 and len(cpus) > self.needed:
            cpus -= {max(cpus)}
        return cpus

    def single_cpus(self, *, across_cores: bool) -> Iterator[Cpus]:
        """Yield single CPUs: core by core, or socket by socket."""
        if across_cores:
            every = self._machine.cpus_of_socket
            groups = [every[id_] & self.left for id_ in self.sockets()]
        else:
            every = self._machine.cpus_of_core
            groups = [every[id_] & self.left for id_ in self._cores()]
        return self._fitting(frozenset((cpu,)) for group in groups for cpu in sorted(group))

    def _fitting(self, elements: Iterable[Cpus]) -> Iterator[Cpus]:
        """Yield those elements that are not larger than what is missing when their turn comes."""
        return (cpus for cpus in elements if len(cpus) <= self.needed)

    def numa_nodes(self) -> list[int]:
        """Return the NUMA nodes that have CPUs left, in order."""
        every = self._machine.cpus_of_numa_node
        if self._is_numa_first:
            return self._by_free(every, every)
        numa_of_cpu = self._machine.numa_of_cpu
        of_sockets = (
            {numa_of_cpu[cpu] for cpu in self._machine.cpus_of_socket[id_] & self.left}
            for id_ in self.sockets()
        )
        return [id_ for ids in of_sockets for id_ in self._by_free(ids, every)]

    def sockets(self) -> list[int]:
        """Return the sockets that have CPUs left, in order."""
        every = self._machine.cpus_of_socket
        if not self._is_numa_first:
            return self._by_free(every, every)
        of_numa_nodes = (
            self._machine.sockets_of(self._machine.cpus_of_numa_node[id_] & self.left)
            for id_ in self.numa_nodes()
        )
        return [id_ for ids in of_numa_nodes for id_ in self._by_free(ids, every)]

    def _cores(self) -> list[int]:
        machine = self._machine
        domains = (
            [machine.cpus_of_socket[id_] for id_ in self.sockets()]
            if self._is_numa_first
            else [machine.cpus_of_numa_node[id_] for id_ in self.numa_nodes()]
        )
        of_domains = ({machine.core_of_cpu[c].id for c in cpus & self.left} for cpus in domains)
        return [id_ for ids in of_domains for id_ in self._by_free(ids, machine.cpus_of_core)]

    def _uncore_caches(self) -> list[int]:
        machine = self._machine
        of_numa_nodes = (
            {machine.core_of_cpu[c].uncore for c in machine.cpus_of_numa_node[id_] & self.left}
            for id_ in self.numa_nodes()
        )
        return [id_ for ids in of_numa_nodes for id_ in self._by_free(ids, machine.cpus_of_uncore)]

    def _by_free(self, ids: Iterable[int], every: Mapping[int, Cpus]) -> list[int]:
        free = {id_: len(every[id_] & self.left) for id_ in ids}
        return sorted((id_ for id_ in free if free[id_]), key=lambda id_: (free[id_], id_))
