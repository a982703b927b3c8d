"""Strings to dense ids: resources, taint lists, and the values of a label over all nodes.

Ids index arrays. Strings come back only where something is explained to a person.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import Taint
from kubeberth.api.selectors import Requirement

T = TypeVar("T", bound=Hashable)

TaintList = tuple[tuple[str, str, str], ...]

# The resources that every cluster has, at fixed rows; extended ones follow as they are met. The
# last two are what CPU and memory count for in scores, where pods that ask for nothing weigh too.
CPU, MEMORY, EPHEMERAL_STORAGE, PODS, SCORED_CPU, SCORED_MEMORY = range(6)
NATIVE_RESOURCES = ("cpu", "memory", "ephemeral-storage", "pods")
FIXED_RESOURCES = (*NATIVE_RESOURCES, "cpu (scored)", "memory (scored)")

ABSENT = 0
"""Id of "the node does not have this label"."""


class Interner(Generic[T]):
    """Gives each distinct value a small number, in order of first sight."""

    def __init__(self, values: Iterable[T] = ()) -> None:
        self.values: list[T] = []
        self._ids: dict[T, int] = {}
        for value in values:
            self.intern(value)

    def __len__(self) -> int:
        return len(self.values)

    def intern(self, value: T) -> int:
        """Return the id of a value, a new one at first sight."""
        found = self._ids.get(value)
        if found is None:
            found = self._ids[value] = len(self.values)
            self.values.append(value)
        return found

    def get(self, value: T) -> int | None:
        """Return the id of a value that has been met, or None."""
        return self._ids.get(value)

    def copy(self) -> Interner[T]:
        """Return one that knows the same ids and goes its own way from now on."""
        return Interner(self.values)


class LabelColumn:
    """The value of one label on every node.

    Attributes
    ----------
    ids
        ndarray of int32, shape (n_slots,): id of the node's value, `ABSENT` where it has none.
    view
        The same numbers for one node at a time, which is cheaper than to index an array.
    n_values
        How many ids there are, `ABSENT` included.
    """

    def __init__(self, key: str, n_slots: int) -> None:
        self.key = key
        self.ids: NDArray[np.int32] = np.zeros(n_slots, dtype=np.int32)
        self.view = memoryview(self.ids.data)
        self._values: Interner[str | None] = Interner((None,))
        self.n_values = 1
        self._n_nodes: list[int] = [n_slots]
        self._latest: list[int] = [-1]
        self._n_shared = 0
        self._tables: dict[Requirement, NDArray[np.bool_]] = {}

    @property
    def is_unique(self) -> bool:
        """Whether no two nodes have the same value, as it is with host names."""
        return not self._n_shared

    @property
    def known_values(self) -> list[str]:
        """Every value that a node has or had."""
        return [value for value in self._values.values if value is not None]

    def id_of(self, value: str) -> int | None:
        """Return the id of a value, None when no node ever had it."""
        return self._values.get(value)

    def put(self, slot: int, value: str | None) -> bool:
        """Set a node's value, and return whether it is another one than before."""
        value_id = ABSENT if value is None else self._values.intern(value)
        old_id = self.view[slot]
        if old_id == value_id:
            return False
        self.view[slot] = value_id
        if value_id == len(self._n_nodes):
            self._n_nodes.append(0)
            self._latest.append(-1)
            self.n_values += 1
        self._latest[value_id] = slot
        self._n_nodes[value_id] += 1
        self._n_nodes[old_id] -= 1
        self._n_shared += value_id != ABSENT and self._n_nodes[value_id] == 2
        self._n_shared -= old_id != ABSENT and self._n_nodes[old_id] == 1
        return True

    def only_slot(self, value: str) -> int | None:
        """Return the one node that has a value, -1 when none has; None when several may have."""
        value_id = self._values.get(value)
        if value_id is None or not self._n_nodes[value_id]:
            return -1
        slot = self._latest[value_id]
        return slot if self._n_nodes[value_id] == 1 and self.view[slot] == value_id else None

    def grow(self, n_slots: int) -> None:
        """Make room for more nodes."""
        more = n_slots - len(self.ids)
        self.ids = np.concatenate([self.ids, np.zeros(more, dtype=np.int32)])
        self.view = memoryview(self.ids.data)
        self._n_nodes[ABSENT] += more

    def copy(self) -> LabelColumn:
        """Return a column that changes on its own from now on."""
        other = LabelColumn(self.key, 0)
        other.ids = self.ids.copy()
        other.view = memoryview(other.ids.data)
        other._values = self._values.copy()
        other.n_values = self.n_values
        other._n_nodes = self._n_nodes.copy()
        other._latest = self._latest.copy()
        other._n_shared = self._n_shared
        return other

    def table(self, requirement: Requirement) -> NDArray[np.bool_]:
        """Return which values meet a requirement: ndarray of bool, shape (n_values,)."""
        table = self._tables.get(requirement)
        if table is None or len(table) < self.n_values:
            table = self._tables[requirement] = self._compute(requirement)
        return table

    def _compute(self, requirement: Requirement) -> NDArray[np.bool_]:
        """Decide per value; `In` and its kin by id, so that 100,000 host names cost nothing."""
        operator = requirement.operator
        if operator in ("Gt", "Lt"):
            return np.array(
                [v is not None and requirement.matches({self.key: v}) for v in self._values.values]
            )
        table = np.zeros(self.n_values, dtype=bool)
        if operator == "Exists":
            table[1:] = True
        elif operator == "DoesNotExist":
            table[ABSENT] = True
        else:
            known = (self._values.get(value) for value in requirement.values)
            table[[value_id for value_id in known if value_id is not None]] = True
            if operator == "NotIn":
                np.logical_not(table, out=table)
        return table


def distinct(codes: NDArray[Any]) -> list[int]:
    """Return the different values of an array, in order: `np.unique` has masked arrays loaded."""
    return sorted(set(codes.tolist()))


def to_taint_list(taints: Iterable[Taint]) -> TaintList:
    """Return what matters of a node's taints for placing, in the node's order."""
    return tuple((taint.key, taint.value, taint.effect) for taint in taints)
