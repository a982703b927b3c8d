"""How much memory of each type a NUMA node has, and how much of it is given away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kubeberth.topology.machine import Machine
from kubeberth.topology.masks import Mask, members
from kubeberth.topology.requests import Amounts

MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Block:
    """Memory of a type that somebody has on some NUMA nodes."""

    mask: Mask
    type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Stock:
    """Memory of one type on one NUMA node, in bytes.

    Parameters
    ----------
    kept
        For the system.
    reserved
        Given away; free is the rest of what is allocatable.
    """

    total: int
    kept: int
    allocatable: int
    reserved: int = 0

    @property
    def free(self) -> int:
        """What is left."""
        return self.allocatable - self.reserved


@dataclass(frozen=True, slots=True)
class MemoryTable:
    """The memory of one NUMA node.

    Parameters
    ----------
    stocks
        By type.
    cells
        The NUMA nodes that memory is given away with, by itself at first.
    n_assignments
        How many blocks lie on it.
    """

    stocks: Mapping[str, Stock]
    cells: Mask
    n_assignments: int = 0

    def free(self, type_: str) -> int:
        """Return how much is left of a type; nothing of one that the node does not have."""
        stock = self.stocks.get(type_)
        return stock.free if stock is not None else 0

    def allocatable(self, type_: str) -> int:
        """Return how much there is of a type when nobody has any."""
        stock = self.stocks.get(type_)
        return stock.allocatable if stock is not None else 0


# By NUMA id.
Tables = Mapping[int, MemoryTable]


def empty_tables(machine: Machine, kept: Mapping[int, Amounts]) -> dict[int, MemoryTable]:
    """Return the memory of a machine that nobody uses.

    Parameters
    ----------
    kept
        What is reserved for the system, by NUMA id and type.
    """
    tables = {}
    for node in machine.numa_nodes:
        reserved = kept.get(node.id, {})
        stocks = {
            type_: _stock(size, size, reserved.get(type_, 0))
            for type_, size in node.hugepage_bytes.items()
        }
        ordinary = node.memory_bytes - sum(node.hugepage_bytes.values())
        stocks[MEMORY] = _stock(node.memory_bytes, ordinary, reserved.get(MEMORY, 0))
        tables[node.id] = MemoryTable(stocks, 1 << node.id)
    return tables


def _stock(total: int, usable: int, kept: int) -> Stock:
    return Stock(total, kept, usable - kept)


def with_block(tables: Tables, block: Block, size_bytes: int) -> Tables:
    """Return the tables once a block is given away.

    Parameters
    ----------
    size_bytes
        How much of the block is taken anew; the rest was taken before.
    """
    after = dict(tables)
    for numa_id in members(block.mask):
        table = after[numa_id]
        taken = min(size_bytes, table.free(block.type))
        size_bytes -= taken
        after[numa_id] = replace(
            table,
            stocks=_with_more(table.stocks, block.type, taken),
            cells=block.mask,
            n_assignments=table.n_assignments + 1,
        )
    return after


def without_blocks(tables: Tables, blocks: Iterable[Block]) -> Tables:
    """Return the tables once blocks are given back; the nodes with the lowest ids get it first."""
    after = dict(tables)
    for block in blocks:
        size_bytes = block.size_bytes
        for numa_id in members(block.mask):
            table = after[numa_id]
            stock = table.stocks.get(block.type)
            given = min(size_bytes, stock.reserved if stock is not None else 0)
            size_bytes -= given
            n_left = table.n_assignments - 1
            after[numa_id] = MemoryTable(
                _with_more(table.stocks, block.type, -given),
                table.cells if n_left else 1 << numa_id,
                n_left,
            )
    return after


def _with_more(stocks: Mapping[str, Stock], type_: str, size_bytes: int) -> Mapping[str, Stock]:
    if not size_bytes:
        return stocks
    stock = stocks[type_]
    return {**stocks, type_: replace(stock, reserved=stock.reserved + size_bytes)}
