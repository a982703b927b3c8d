"""How people write down a machine and its device plugins, and what of it cannot be.

The machine of a node with two NUMA nodes of two cores each:

    numaNodes:
    - {id: 0, memory: 8Gi, cores: [{socket: 0, cpus: [0, 4]}, {socket: 0, cpus: [1, 5]}]}
    - {id: 1, memory: 8Gi, cpus: "2-3,6-7", socket: 1, threadsPerCore: 2}

`cores` says which CPUs are threads of one core. `cpus` is the short form: the list is cut into as
many parts as a core has threads, and the i-th core has the i-th CPU of every part. docs/topology.md
describes all fields.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from kubeberth.api.quantity import QuantityError, parse_quantity
from kubeberth.topology.cpuset import parse_cpus
from kubeberth.topology.devices import HIGHEST, Device, DevicePlugin
from kubeberth.topology.machine import Core, Machine, NumaNode
from kubeberth.topology.masks import mask_of

# Bits of a set of NUMA nodes, as the kubelet keeps them.
MOST_NUMA_ID = 63


class DescriptionError(ValueError):
    """A description that cannot be; the text begins with the field."""


class _Struct(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Parent of all parts of a description."""


class CoreDescription(_Struct, frozen=True):
    """A physical core."""

    cpus: tuple[int, ...]
    socket: int = 0
    uncore: int | None = None


class NumaNodeDescription(_Struct, frozen=True):
    """A NUMA node; its cores one by one, or in short."""

    id: int
    memory: int | str
    hugepages: dict[str, int] = {}
    distances: tuple[int, ...] = ()
    cores: tuple[CoreDescription, ...] = ()
    cpus: str = ""
    socket: int = 0
    threads_per_core: int = 1
    cores_per_uncore: int = 0


class MachineDescription(_Struct, frozen=True):
    """A machine."""

    numa_nodes: tuple[NumaNodeDescription, ...]


class DeviceDescription(_Struct, frozen=True):
    """One device; without `numa` its plugin says nothing of where it is."""

    id: str
    numa: tuple[int, ...] | None = None
    healthy: bool = True


class PluginDescription(_Struct, frozen=True):
    """The devices of one resource."""

    resource: str
    devices: tuple[DeviceDescription, ...]
    preferred: str = ""


T = TypeVar("T")


def decode(document: object, kind: type[T], field: str) -> T:
    """Return a document as a typed object.

    Raises
    ------
    DescriptionError
        A field is unknown, missing, or of another type.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        where = field + re.sub(r"^\.", "." if field else "", path.rstrip("`"))
        told = f"{what[:1].lower()}{what[1:]}"
        raise DescriptionError(f"{where}: {told}" if where else told) from None


def machine_from(document: object) -> Machine:
    """Return the machine that is described.

    Raises
    ------
    DescriptionError
        There can be no such machine.
    """
    nodes = decode(document, MachineDescription, "").numa_nodes
    _check_numa_nodes(nodes)
    return Machine(
        tuple(_numa_node(node, f"numaNodes[{index}]") for index, node in enumerate(nodes))
    )


def _check_numa_nodes(nodes: Sequence[NumaNodeDescription]) -> None:
    if not nodes:
        raise DescriptionError("numaNodes: a machine has at least one NUMA node")
    for index, node in enumerate(nodes):
        if not 0 <= node.id <= MOST_NUMA_ID:
            raise DescriptionError(
                f"numaNodes[{index}].id: {node.id} is not between 0 and {MOST_NUMA_ID}"
            )
    _check_unique([node.id for node in nodes], "numaNodes: two NUMA nodes with the id")
    cores = [core for node in nodes for core in _cores(node)]
    if any(core.socket < 0 for core in cores):
        raise DescriptionError("numaNodes: the number of a socket is below zero")
    cpus = [cpu for core in cores for cpu in core.cpus]
    if not cpus:
        raise DescriptionError("numaNodes: no NUMA node has a CPU")
    if (lowest := min(cpus)) < 0:
        raise DescriptionError(f"numaNodes: CPU {lowest} is below zero")
    _check_unique(cpus, "numaNodes: more than one core has CPU")


def _check_unique(values: Sequence[int] | Sequence[str], what: str) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            raise DescriptionError(f"{what} {value}")


def _numa_node(node: NumaNodeDescription, field: str) -> NumaNode:
    memory = _bytes(node.memory, f"{field}.memory")
    hugepages = {}
    for size, count in node.hugepages.items():
        page = _bytes(size, f"{field}.hugepages.{size}")
        if page <= 0 or count < 0:
            raise DescriptionError(f"{field}.hugepages.{size}: {count} pages of it cannot be")
        hugepages[f"hugepages-{size}"] = page * count
    if sum(hugepages.values()) > memory:
        raise DescriptionError(f"{field}.hugepages: more than the NUMA node's memory")
    if any(distance < 0 for distance in node.distances):
        raise DescriptionError(f"{field}.distances: a distance is below zero")
    cores = tuple(
        Core(
            frozenset(core.cpus),
            core.socket,
            # A core of an unknown cache is in the group that is numbered like its socket.
            core.socket if core.uncore is None else core.uncore,
        )
        for core in _cores(node)
    )
    return NumaNode(node.id, memory, cores, hugepages, node.distances)


def _bytes(value: int | str, field: str) -> int:
    try:
        size = parse_quantity(value).units()
    except QuantityError:
        raise DescriptionError(f"{field}: {value!r} is no quantity") from None
    if size < 0:
        raise DescriptionError(f"{field}: {value} is below zero")
    return size


def _cores(node: NumaNodeDescription) -> Iterator[CoreDescription]:
    """Yield the cores of a NUMA node, those of the short form too."""
    for core in node.cores:
        if not core.cpus:
            raise DescriptionError(f"numaNodes: a core of NUMA node {node.id} has no CPU")
        yield core
    if not node.cpus:
        return
    try:
        cpus = sorted(parse_cpus(node.cpus))
    except ValueError as error:
        raise DescriptionError(f"numaNodes: cpus of NUMA node {node.id}: {error}") from None
    width = node.threads_per_core
    if width < 1 or len(cpus) % width:
        raise DescriptionError(
            f"numaNodes: {len(cpus)} CPUs of NUMA node {node.id} do not make cores of "
            f"{width} threads each"
        )
    n_cores = len(cpus) // width
    for index in range(n_cores):
        threads = tuple(cpus[index::n_cores])
        yield CoreDescription(cpus=threads, socket=node.socket, uncore=_uncore(node, cpus, index))


def _uncore(node: NumaNodeDescription, cpus: Sequence[int], index: int) -> int | None:
    """Return the cache group of the index-th core: the lowest CPU of its first core."""
    size = node.cores_per_uncore
    return cpus[index // size * size] if size > 0 else None


def plugins_from(document: object, machine: Machine) -> Mapping[str, DevicePlugin]:
    """Return the device plugins that are described, by resource.

    Raises
    ------
    DescriptionError
        There can be no such devices on the machine.
    """
    described = decode(document, tuple[PluginDescription, ...], "devices")
    plugins: dict[str, DevicePlugin] = {}
    for index, plugin in enumerate(described):
        where = f"devices[{index}]"
        if plugin.resource in plugins:
            raise DescriptionError(f"{where}.resource: {plugin.resource} is described twice")
        plugins[plugin.resource] = _plugin(plugin, machine, where)
    return plugins


def _plugin(plugin: PluginDescription, machine: Machine, field: str) -> DevicePlugin:
    domain, slash, _ = plugin.resource.partition("/")
    if not slash or domain.endswith("kubernetes.io"):
        raise DescriptionError(
            f"{field}.resource: {plugin.resource!r} is no extended resource such as vendor.com/gpu"
        )
    if plugin.preferred not in ("", HIGHEST):
        raise DescriptionError(f"{field}.preferred: {plugin.preferred!r} is not {HIGHEST}")
    if not all(device.id for device in plugin.devices):
        raise DescriptionError(f"{field}.devices: one has no id")
    _check_unique([device.id for device in plugin.devices], f"{field}.devices: two have the id")
    for device in plugin.devices:
        for numa_id in device.numa or ():
            if numa_id not in machine.numa_ids:
                raise DescriptionError(
                    f"{field}.devices: {device.id} is near to NUMA node {numa_id}, which the "
                    "machine does not have"
                )
    devices = {
        device.id: Device(None if device.numa is None else mask_of(device.numa), device.healthy)
        for device in plugin.devices
    }
    return DevicePlugin(devices, plugin.preferred)
