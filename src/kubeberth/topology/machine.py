"""What a node's machine is made of: NUMA nodes with their cores, memory and huge pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from kubeberth.topology.cpuset import NO_CPUS, Cpus
from kubeberth.topology.masks import Mask, members


@dataclass(frozen=True, slots=True)
class Core:
    """A physical core and the logical CPUs on it.

    Parameters
    ----------
    uncore
        The group of cores that share the last level cache.
    """

    cpus: Cpus
    socket: int
    uncore: int

    @property
    def id(self) -> int:
        """Its lowest CPU."""
        return min(self.cpus)


@dataclass(frozen=True, slots=True)
class NumaNode:
    """A NUMA node.

    Parameters
    ----------
    memory_bytes
        All of its memory, huge pages included.
    hugepage_bytes
        Of it, what is set aside as huge pages, by resource name (`hugepages-2Mi`).
    distances
        The i-th is the distance to the NUMA node with id i; empty when unknown.
    """

    id: int
    memory_bytes: int
    cores: tuple[Core, ...]
    hugepage_bytes: Mapping[str, int]
    distances: tuple[int, ...] = ()

    @property
    def cpus(self) -> Cpus:
        """All of its CPUs."""
        return NO_CPUS.union(*(core.cpus for core in self.cores))


@dataclass(frozen=True)
class Machine:
    """A machine, and what of it lies where.

    A node without cores is memory only: it takes part in hints for memory, not in those for CPUs.
    """

    numa_nodes: tuple[NumaNode, ...]

    @cached_property
    def numa_ids(self) -> tuple[int, ...]:
        """Ids of all NUMA nodes, ascending."""
        return tuple(sorted(node.id for node in self.numa_nodes))

    @cached_property
    def cpus(self) -> Cpus:
        """All logical CPUs."""
        return NO_CPUS.union(*self.cpus_of_numa_node.values())

    @cached_property
    def cpus_of_numa_node(self) -> Mapping[int, Cpus]:
        """By id, NUMA nodes with CPUs only."""
        return {node.id: node.cpus for node in self.numa_nodes if node.cores}

    @cached_property
    def cpus_of_socket(self) -> Mapping[int, Cpus]:
        """By id."""
        return self._cpus_by(lambda core: core.socket)

    @cached_property
    def cpus_of_uncore(self) -> Mapping[int, Cpus]:
        """By id of the cache group."""
        return self._cpus_by(lambda core: core.uncore)

    @cached_property
    def cpus_of_core(self) -> Mapping[int, Cpus]:
        """By id of the core."""
        return self._cpus_by(lambda core: core.id)

    @cached_property
    def core_of_cpu(self) -> Mapping[int, Core]:
        """By CPU."""
        return {cpu: core for core in self._cores for cpu in core.cpus}

    @cached_property
    def numa_of_cpu(self) -> Mapping[int, int]:
        """By CPU."""
        return {cpu: numa_id for numa_id, cpus in self.cpus_of_numa_node.items() for cpu in cpus}

    @property
    def cpus_per_core(self) -> int:
        """Return how many CPUs a core has, on average and rounded down, as the kubelet reckons."""
        return len(self.cpus) // len(self.cpus_of_core)

    @property
    def cpus_per_socket(self) -> int:
        """Return how many CPUs a socket has, on average and rounded down."""
        return len(self.cpus) // len(self.cpus_of_socket)

    @property
    def cpus_per_uncore(self) -> int:
        """Return how many CPUs share a cache, on average and rounded down."""
        return len(self.cpus) // len(self.cpus_of_uncore)

    def cpus_in(self, mask: Mask) -> Cpus:
        """Return the CPUs of some NUMA nodes."""
        return NO_CPUS.union(*(self.cpus_of_numa_node.get(id_, NO_CPUS) for id_ in members(mask)))

    def sockets_in(self, mask: Mask) -> frozenset[int]:
        """Return the sockets that some NUMA nodes are of."""
        return self.sockets_of(self.cpus_in(mask))

    def sockets_of(self, cpus: Iterable[int]) -> frozenset[int]:
        """Return the sockets that some CPUs are of."""
        return frozenset(self.core_of_cpu[cpu].socket for cpu in cpus)

    @property
    def _cores(self) -> Iterable[Core]:
        return (core for node in self.numa_nodes for core in node.cores)

    def _cpus_by(self, key: Callable[[Core], int]) -> Mapping[int, Cpus]:
        groups: dict[int, Cpus] = {}
        for core in self._cores:
            groups[key(core)] = groups.get(key(core), NO_CPUS) | core.cpus
        return groups
