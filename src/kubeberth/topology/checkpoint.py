"""Allocations as a document that survives a restart, and back.

    {"cpuManagerPolicy", "memoryManagerPolicy", "cpus", "memory", "devices", "checksum"}

The checksum tells a document that was damaged or edited from one that a kubelet wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

import msgspec

from kubeberth.topology.cpus import CpuState
from kubeberth.topology.cpuset import cpu_list, parse_cpus
from kubeberth.topology.devices import DeviceState
from kubeberth.topology.kept_state import KeptState
from kubeberth.topology.managers import Allocations
from kubeberth.topology.masks import mask_of, members
from kubeberth.topology.memory import Blocks, MemoryState
from kubeberth.topology.memory_tables import Block, MemoryTable, Stock


class CheckpointError(ValueError):
    """A document is not one that a kubelet wrote; the text says what is wrong with it."""


class _Struct(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Parent of the document's parts."""


class _Block(_Struct, frozen=True):
    numa: tuple[int, ...]
    type: str
    size: int


class _Table(_Struct, frozen=True):
    cells: tuple[int, ...]
    assignments: int
    stocks: dict[str, tuple[int, int, int, int]]


class _Cpus(_Struct, frozen=True):
    shared: str
    assigned: dict[str, dict[str, str]]
    pools: dict[str, str]


class _Memory(_Struct, frozen=True):
    tables: dict[str, _Table]
    blocks: dict[str, dict[str, tuple[_Block, ...]]]
    pools: dict[str, tuple[_Block, ...]]


class _Document(_Struct, frozen=True):
    cpu_manager_policy: str
    memory_manager_policy: str
    cpus: _Cpus
    memory: _Memory
    devices: dict[str, dict[str, dict[str, tuple[str, ...]]]]


class _Sealed(msgspec.Struct, frozen=True):
    checksum: str
    state: msgspec.Raw


def to_json(kept: KeptState) -> bytes:
    """Return the document of a state."""
    state = msgspec.json.encode(_to_document(kept), order="deterministic")
    return msgspec.json.encode(_Sealed(_checksum(state), msgspec.Raw(state)))


def from_json(text: bytes) -> KeptState:
    """Return the state of a document.

    Raises
    ------
    CheckpointError
        It is cut off, damaged, or something else.
    """
    try:
        sealed = msgspec.json.decode(text, type=_Sealed)
        if sealed.checksum != _checksum(bytes(sealed.state)):
            raise CheckpointError("checkpoint is corrupted: its checksum is another one")
        return _from_document(msgspec.json.decode(sealed.state, type=_Document))
    except (msgspec.DecodeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"checkpoint is corrupted: {error}") from None


def _checksum(state: bytes) -> str:
    return sha256(state).hexdigest()


def _to_document(kept: KeptState) -> _Document:
    cpus, memory = kept.allocations.cpus, kept.allocations.memory
    return _Document(
        kept.cpu_policy,
        kept.memory_policy,
        _Cpus(
            cpu_list(cpus.shared),
            {
                uid: {name: cpu_list(part) for name, part in containers.items()}
                for uid, containers in cpus.assigned.items()
            },
            {uid: cpu_list(pool) for uid, pool in cpus.pools.items()},
        ),
        _Memory(
            {str(numa_id): _to_table(table) for numa_id, table in memory.tables.items()},
            {
                uid: {name: _to_blocks(blocks) for name, blocks in containers.items()}
                for uid, containers in memory.blocks.items()
            },
            {uid: _to_blocks(blocks) for uid, blocks in memory.pools.items()},
        ),
        {
            uid: {
                name: {resource: tuple(sorted(ids)) for resource, ids in resources.items()}
                for name, resources in containers.items()
            }
            for uid, containers in kept.allocations.devices.held.items()
        },
    )


def _to_blocks(blocks: Blocks) -> tuple[_Block, ...]:
    return tuple(_Block(members(one.mask), one.type, one.size_bytes) for one in blocks)


def _to_table(table: MemoryTable) -> _Table:
    stocks = {
        type_: (stock.total, stock.kept, stock.allocatable, stock.reserved)
        for type_, stock in table.stocks.items()
    }
    return _Table(members(table.cells), table.n_assignments, stocks)


def _from_document(document: _Document) -> KeptState:
    cpus, memory = document.cpus, document.memory
    return KeptState(
        document.cpu_manager_policy,
        document.memory_manager_policy,
        Allocations(
            CpuState(
                parse_cpus(cpus.shared),
                {
                    uid: {name: parse_cpus(part) for name, part in containers.items()}
                    for uid, containers in cpus.assigned.items()
                },
                {uid: parse_cpus(pool) for uid, pool in cpus.pools.items()},
            ),
            MemoryState(
                {int(numa_id): _from_table(table) for numa_id, table in memory.tables.items()},
                {
                    uid: {name: _from_blocks(blocks) for name, blocks in containers.items()}
                    for uid, containers in memory.blocks.items()
                },
                {uid: _from_blocks(blocks) for uid, blocks in memory.pools.items()},
            ),
            DeviceState(_from_held(document.devices)),
        ),
    )


def _from_held(
    devices: Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]],
) -> dict[str, dict[str, dict[str, frozenset[str]]]]:
    return {
        uid: {
            name: {resource: frozenset(ids) for resource, ids in resources.items()}
            for name, resources in containers.items()
        }
        for uid, containers in devices.items()
    }


def _from_blocks(blocks: Sequence[_Block]) -> Blocks:
    return tuple(Block(mask_of(one.numa), one.type, one.size) for one in blocks)


def _from_table(table: _Table) -> MemoryTable:
    stocks = {type_: Stock(*amounts) for type_, amounts in table.stocks.items()}
    return MemoryTable(stocks, mask_of(table.cells), table.assignments)
