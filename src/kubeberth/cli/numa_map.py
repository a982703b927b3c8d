"""Draws a node's machine: which CPUs, memory and devices belong to whom."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kubeberth.api.core import Pod
from kubeberth.api.quantity import NANO, Quantity
from kubeberth.topology.cpuset import NO_CPUS, Cpus, cpu_list
from kubeberth.topology.layout import Layout
from kubeberth.topology.machine import NumaNode
from kubeberth.topology.managers import Allocations
from kubeberth.topology.masks import members
from kubeberth.topology.memory_tables import Block

SHARED, RESERVED, UNHEALTHY = ".", "-", "!"
CORES_A_LINE = 8


def draw(name: str, layout: Layout, allocations: Allocations, pods: Mapping[str, Pod]) -> str:
    """Return the picture of a node.

    Parameters
    ----------
    pods
        The pods of the node, by UID.
    """
    return "\n".join(_Map(name, layout, allocations, pods).lines())


@dataclass(frozen=True, slots=True)
class _Owner:
    """A pod that has something, and its letter in the picture."""

    sign: str
    text: str


class _Map:
    """A picture that is being drawn."""

    def __init__(
        self, name: str, layout: Layout, allocations: Allocations, pods: Mapping[str, Pod]
    ) -> None:
        self._name, self._layout, self._allocations = name, layout, allocations
        self._owners = {
            uid: _Owner(sign, pods[uid].metadata.key if uid in pods else f"{uid}, which is gone")
            for uid, sign in zip(_in_order(allocations, pods), _signs(), strict=False)
        }

    def lines(self) -> Iterator[str]:
        """Yield the picture line by line."""
        machine, configuration = self._layout.machine, self._layout.configuration
        yield (
            f"{self._name}: {len(machine.numa_nodes)} NUMA nodes, "
            f"{len(machine.cpus_of_socket)} sockets, {len(machine.cpus)} CPUs"
        )
        scope = f", scope {configuration.topology_manager_scope}"
        policy = configuration.topology_manager_policy
        yield f"topology manager {policy}{scope if policy != 'none' else ''}"
        yield (
            f"cpu manager {configuration.cpu_manager_policy}, "
            f"memory manager {configuration.memory_manager_policy}"
        )
        for node in machine.numa_nodes:
            yield ""
            yield from self._numa_node(node)
        yield ""
        yield from self._legend()

    def _numa_node(self, node: NumaNode) -> Iterator[str]:
        sockets = ", ".join(map(str, sorted({core.socket for core in node.cores})))
        yield f"NUMA node {node.id}" + (f", socket {sockets}" if sockets else ", memory only")
        for label, entries in (
            ("CPUs", list(self._cores(node))),
            ("memory", list(self._memory(node))),
            ("devices", list(self._devices(node.id))),
        ):
            for index, entry in enumerate(entries):
                yield f"  {label if not index else '':9}{entry}"

    def _cores(self, node: NumaNode) -> Iterator[str]:
        width = len(str(max(self._layout.machine.cpus)))
        cells = [
            " ".join(f"{cpu:>{width}}{self._sign_of_cpu(cpu)}" for cpu in sorted(core.cpus))
            for core in sorted(node.cores, key=lambda core: core.id)
        ]
        for start in range(0, len(cells), CORES_A_LINE):
            yield "|" + "|".join(cells[start : start + CORES_A_LINE]) + "|"

    def _sign_of_cpu(self, cpu: int) -> str:
        for uid, owner in self._owners.items():
            if cpu in self._cpus_of(uid):
                return owner.sign
        if cpu in self._reserved:
            return RESERVED
        return SHARED

    def _cpus_of(self, uid: str) -> Cpus:
        cpus = self._allocations.cpus
        return cpus.pools.get(uid, NO_CPUS).union(*cpus.assigned.get(uid, {}).values())

    @property
    def _reserved(self) -> Cpus:
        policy = self._layout.start()[0].cpus
        return policy.reserved if policy is not None else NO_CPUS

    def _memory(self, node: NumaNode) -> Iterator[str]:
        table = self._allocations.memory.tables.get(node.id)
        if table is None:
            yield f"{_size(node.memory_bytes)}, anybody's"
            return
        for type_, stock in sorted(table.stocks.items(), key=lambda item: item[0] != "memory"):
            kept = f", {_size(stock.kept)} kept for the system" if stock.kept else ""
            name = "" if type_ == "memory" else f"{type_}: "
            yield f"{name}{_size(stock.free)} of {_size(stock.allocatable)} free{kept}"
        if table.cells.bit_count() > 1:
            others = ", ".join(map(str, members(table.cells)))
            yield f"given away together with that of NUMA nodes {others}"

    def _devices(self, numa_id: int | None) -> Iterator[str]:
        for resource, plugin in sorted(self._layout.plugins.items()):
            signs = {
                id_: owner.sign
                for uid, owner in self._owners.items()
                for resources in self._allocations.devices.held.get(uid, {}).values()
                for id_ in resources.get(resource, ())
            }
            shown = [
                f"{id_} {signs.get(id_, SHARED if device.is_healthy else UNHEALTHY)}"
                for id_, device in sorted(plugin.devices.items())
                if (not device.mask if numa_id is None else (device.mask or 0) >> numa_id & 1)
            ]
            if shown:
                yield f"{resource}: {', '.join(shown)}"

    def _legend(self) -> Iterator[str]:
        if elsewhere := list(self._devices(None)):
            yield f"on no NUMA node: {'; '.join(elsewhere)}"
            yield ""
        yield f"{SHARED} shared or free   {RESERVED} reserved   {UNHEALTHY} not healthy"
        for uid, owner in self._owners.items():
            yield f"{owner.sign} {owner.text}: {', '.join(self._holdings(uid))}"

    def _holdings(self, uid: str) -> Iterator[str]:
        allocations = self._allocations
        names = dict.fromkeys(
            (
                *allocations.cpus.assigned.get(uid, {}),
                *allocations.memory.blocks.get(uid, {}),
                *allocations.devices.held.get(uid, {}),
            )
        )
        for name in names:
            cpus = allocations.cpus.assigned.get(uid, {}).get(name)
            parts = [
                *([f"CPUs {cpu_list(cpus)}"] if cpus else []),
                *map(_block, allocations.memory.blocks.get(uid, {}).get(name, ())),
                *(
                    " ".join(sorted(ids))
                    for ids in allocations.devices.held.get(uid, {}).get(name, {}).values()
                ),
            ]
            yield f"{name} has {' and '.join(parts)}"


def _in_order(allocations: Allocations, pods: Mapping[str, Pod]) -> list[str]:
    """Return who has anything, by name."""
    return sorted(
        allocations.pods(), key=lambda uid: (pods[uid].metadata.key if uid in pods else "", uid)
    )


def _signs() -> Iterator[str]:
    """Yield a letter for each pod; where there are more, letters come again."""
    while True:
        yield from string.ascii_lowercase + string.ascii_uppercase


def _block(block: Block) -> str:
    where = ",".join(map(str, members(block.mask)))
    return f"{_size(block.size_bytes)} {block.type} of NUMA {where}"


def _size(size_bytes: int) -> str:
    return str(Quantity(size_bytes * NANO, "BinarySI"))
