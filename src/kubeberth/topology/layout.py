"""A node's layout: its machine, its devices, and how its kubelet deals them out.

    {"numaNodes": [...], "devices": [...], "kubeletConfiguration": {...}}

A kubelet publishes it in an annotation of its Node, and beside it who has what, so that whoever
reads Nodes can foresee what the kubelet will say to a pod.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from kubeberth.api.quantity import NANO, Quantity, QuantityError, parse_quantity
from kubeberth.topology.configuration import (
    MEMORY_SIGNAL,
    KubeletConfiguration,
    MemoryReservation,
    StartError,
    reservation,
)
from kubeberth.topology.description import (
    DescriptionError,
    decode,
    machine_from,
    plugins_from,
)
from kubeberth.topology.devices import Plugins
from kubeberth.topology.kept_state import KeptState
from kubeberth.topology.machine import Machine, NumaNode
from kubeberth.topology.managers import Allocations, Managers
from kubeberth.topology.memory_tables import MEMORY
from kubeberth.topology.start import start

# What a kubelet that is told nothing keeps free.
DEFAULT_EVICTION_HARD = {MEMORY_SIGNAL: "100Mi"}

_CONFIGURATION = "kubeletConfiguration"


class _Layout(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The fields of a description; each is read by its own rules."""

    numa_nodes: list[Any]
    devices: list[Any] = []
    kubelet_configuration: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Layout:
    """A node's layout.

    Parameters
    ----------
    document
        The description that it was read from.
    """

    document: Mapping[str, Any]
    machine: Machine
    plugins: Plugins
    configuration: KubeletConfiguration

    def start(self, kept: KeptState | None = None) -> tuple[Managers, Allocations]:
        """Return the managers of the node's kubelet, and the allocations that they go on with.

        Raises
        ------
        StartError
            The state that was kept is none to start with.
        """
        return start(self.machine, self.configuration, self.plugins, kept)

    def kept(self, allocations: Allocations) -> KeptState:
        """Return allocations as what outlives the kubelet."""
        configuration = self.configuration
        return KeptState(
            configuration.cpu_manager_policy, configuration.memory_manager_policy, allocations
        )

    def capacity(self) -> dict[str, str]:
        """Return what of a Node's capacity follows from the machine."""
        hugepages: dict[str, int] = {}
        for node in self.machine.numa_nodes:
            for name, size in node.hugepage_bytes.items():
                hugepages[name] = hugepages.get(name, 0) + size
        memory = sum(node.memory_bytes for node in self.machine.numa_nodes)
        devices = {name: str(len(plugin.devices)) for name, plugin in self.plugins.items()}
        sizes = {name: _text(size) for name, size in {MEMORY: memory, **hugepages}.items()}
        return {"cpu": str(len(self.machine.cpus)), **sizes, **devices}

    def allocatable(self) -> dict[str, str]:
        """Return the same without what is reserved, and without devices that are not healthy."""
        reserved = reservation(self.configuration, self.machine)
        left = self.capacity()
        for name in left:
            if name not in self.plugins:
                total, kept = parse_quantity(left[name]), reserved.get(name, Quantity(0))
                left[name] = str(Quantity(total.nanos - kept.nanos, total.format))
        pages = [size for name, size in left.items() if name.startswith("hugepages-")]
        memory = parse_quantity(left[MEMORY])
        set_aside = sum(parse_quantity(size).nanos for size in pages)
        left[MEMORY] = str(Quantity(max(0, memory.nanos - set_aside), memory.format))
        healthy = {name: str(len(plugin.healthy)) for name, plugin in self.plugins.items()}
        return {**left, **healthy}


def _text(size_bytes: int) -> str:
    return str(Quantity(size_bytes * NANO, "BinarySI"))


def layout_from(document: Mapping[str, Any]) -> Layout:
    """Return the layout that is described, if a kubelet can start with it.

    Raises
    ------
    DescriptionError
        It cannot be; the text begins with the field.
    """
    parts = decode(dict(document), _Layout, "")
    machine = machine_from({"numaNodes": parts.numa_nodes})
    plugins = plugins_from(parts.devices, machine)
    configuration = decode(
        {"evictionHard": DEFAULT_EVICTION_HARD, **parts.kubelet_configuration},
        KubeletConfiguration,
        _CONFIGURATION,
    )
    _check_amounts(configuration)
    _check_reservations(configuration, machine)
    try:
        start(machine, configuration, plugins)
    except StartError as error:
        raise DescriptionError(f"{_CONFIGURATION}.{error.field}: {error}") from None
    return Layout(document, machine, plugins, configuration)


def parse_layout(text: str) -> Layout:
    """Return the layout in an annotation.

    Raises
    ------
    DescriptionError
        It is none.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise DescriptionError(f"no JSON: {error}") from None
    if not isinstance(document, dict):
        raise DescriptionError("no JSON object")
    return layout_from(document)


def _check_amounts(configuration: KubeletConfiguration) -> None:
    amounts = {
        f"{field}.{name}": text
        for field, part in (
            ("kubeReserved", configuration.kube_reserved),
            ("systemReserved", configuration.system_reserved),
        )
        for name, text in part.items()
    }
    for index, entry in enumerate(configuration.reserved_memory):
        for name, text in entry.limits.items():
            amounts[f"reservedMemory[{index}].limits.{name}"] = text
    if threshold := configuration.eviction_hard.get(MEMORY_SIGNAL):
        amounts[f"evictionHard.{MEMORY_SIGNAL}"] = threshold.removesuffix("%")
    for field, text in amounts.items():
        try:
            quantity = parse_quantity(text)
        except QuantityError:
            raise DescriptionError(f"{_CONFIGURATION}.{field}: {text!r} is no quantity") from None
        if quantity.nanos < 0:
            raise DescriptionError(f"{_CONFIGURATION}.{field}: {text} is below zero")


def _check_reservations(configuration: KubeletConfiguration, machine: Machine) -> None:
    """Check that no more is reserved than there is."""
    try:
        explicit = configuration.explicit_cpus
    except ValueError as error:
        raise DescriptionError(f"{_CONFIGURATION}.reservedSystemCPUs: {error}") from None
    if missing := sorted(explicit - machine.cpus):
        raise DescriptionError(
            f"{_CONFIGURATION}.reservedSystemCPUs: the machine has no CPU {missing[0]}"
        )
    for index, entry in enumerate(configuration.reserved_memory):
        for node in machine.numa_nodes:
            if node.id == entry.numa_node:
                _check_numa_reservation(entry, node, f"{_CONFIGURATION}.reservedMemory[{index}]")
    memory = sum(node.memory_bytes for node in machine.numa_nodes)
    total_of = {"cpu": len(machine.cpus), MEMORY: memory}
    for name, quantity in reservation(configuration, machine).items():
        total = total_of.get(name)
        if total is not None and quantity.nanos > total * NANO:
            raise DescriptionError(
                f"{_CONFIGURATION}: kubeReserved, systemReserved and evictionHard keep {quantity} "
                f"of {name}, more than the {_text(total) if name == MEMORY else total} that there "
                "is"
            )


def _check_numa_reservation(entry: MemoryReservation, node: NumaNode, field: str) -> None:
    ordinary = node.memory_bytes - sum(node.hugepage_bytes.values())
    for name, text in entry.limits.items():
        total = ordinary if name == MEMORY else node.hugepage_bytes.get(name, 0)
        if parse_quantity(text).nanos > total * NANO:
            raise DescriptionError(
                f"{field}.limits.{name}: {text} is more than the {_text(total)} that NUMA node "
                f"{node.id} has"
            )
