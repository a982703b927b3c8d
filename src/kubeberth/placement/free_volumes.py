"""FreeVolumes: the volumes of one class that nobody has, the smallest first.

Clusters have thousands of volumes that are disks of one node each. So volumes are also found by the
node label that says where they are, and what one kind of claim finds where is kept from one pod to
the next: a StatefulSet's claims all want the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.selectors import Selector, from_label_selector
from kubeberth.api.storage import PersistentVolume, PersistentVolumeClaim
from kubeberth.placement.stored_volume import Home, StoredVolume, size_of
from kubeberth.placement.vocabulary import LabelColumn

_FILESYSTEM = "Filesystem"
# Kinds of claims that are in use at the same time.
_MAX_STOCKS = 64

Entry = tuple[int, str, StoredVolume]
"""Size, name and volume."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a claim wants of a volume that nobody has.

    Parameters
    ----------
    size
        At least, in units of 10^-9 bytes.
    """

    size: int
    mode: str
    attributes_class: str
    access_modes: frozenset[str]
    selector: Selector | None

    def is_met_by(self, stored: StoredVolume) -> bool:
        """Return whether a volume will do."""
        volume = stored.volume
        return (
            stored.size >= self.size
            and self.suits(volume)
            and self.access_modes.issubset(volume.spec.access_modes)
            and (self.selector is None or self.selector.matches(volume.metadata.labels))
        )

    def suits(self, volume: PersistentVolume) -> bool:
        """Return whether a volume is what even a volume of the claim's own must be."""
        return (
            (volume.spec.volume_mode or _FILESYSTEM) == self.mode
            and (volume.spec.volume_attributes_class_name or "") == self.attributes_class
            and volume.metadata.deletion_timestamp is None
        )


def demand_of(claim: PersistentVolumeClaim) -> Demand:
    """Return what a claim wants."""
    spec = claim.spec
    return Demand(
        size_of(claim) or 0,
        spec.volume_mode or _FILESYSTEM,
        spec.volume_attributes_class_name or "",
        frozenset(spec.access_modes),
        None if spec.selector is None else from_label_selector(spec.selector),
    )


class Stock:
    """On which nodes there is a volume for one demand, of those that have a home."""

    def __init__(self) -> None:
        self._numbers: dict[str, Counter[str]] = {}
        # Per label, for the values that nodes have; and the values of which that is out of date.
        self._found: dict[str, NDArray[np.bool_]] = {}
        self._changed: dict[str, set[str]] = {}

    @property
    def keys(self) -> Iterator[str]:
        """The labels that say where the volumes are."""
        return iter(self._numbers)

    def note(self, home: Home, change: int) -> None:
        """Count a volume in (+1) or out (-1)."""
        key, value = home
        self._numbers.setdefault(key, Counter())[value] += change
        self._changed.setdefault(key, set()).add(value)

    def values(self, column: LabelColumn) -> NDArray[np.bool_]:
        """Return which values of a label have a volume: ndarray of bool, shape (n_values,)."""
        key = column.key
        numbers, changed = self._numbers[key], self._changed.pop(key, set())
        found = self._found.get(key)
        if found is None or len(found) != column.n_values:
            found = self._found[key] = np.zeros(column.n_values, dtype=bool)
            changed = set(numbers)
        for value in changed:
            value_id = column.id_of(value)
            if value_id is not None:
                found[value_id] = numbers[value] > 0
        return found


class FreeVolumes:
    """See the module."""

    def __init__(self) -> None:
        self._all: list[Entry] = []
        self._by_home: dict[Home | None, list[Entry]] = {}
        self._stocks: dict[Demand, Stock] = {}

    def add(self, stored: StoredVolume) -> None:
        """Take a volume in."""
        for entries in (self._all, self._by_home.setdefault(stored.home, [])):
            name = stored.volume.metadata.name
            entries.insert(_place(entries, stored.size, name), (stored.size, name, stored))
        self._note(stored, +1)

    def remove(self, stored: StoredVolume) -> None:
        """Take a volume out that is in."""
        at_home = self._by_home[stored.home]
        for entries in (self._all, at_home):
            del entries[_place(entries, stored.size, stored.volume.metadata.name)]
        if not at_home:
            del self._by_home[stored.home]
        self._note(stored, -1)

    def all(self, at_least: int) -> Iterator[StoredVolume]:
        """Yield the volumes of a size or larger, the smallest first."""
        return map(itemgetter(2), _from(self._all, at_least))

    def homeless(self, at_least: int) -> Iterator[StoredVolume]:
        """Yield those of them for which it takes more than one label to say where they are."""
        return map(itemgetter(2), _from(self._by_home.get(None, ()), at_least))

    def near(self, labels: Mapping[str, str], at_least: int) -> Iterator[StoredVolume]:
        """Yield those of them that a node with these labels may reach."""
        places = [self._by_home[home] for home in labels.items() if home in self._by_home]
        entries = merge(
            *(_from(place, at_least) for place in (*places, self._by_home.get(None, ()))),
            key=itemgetter(0, 1),
        )
        return map(itemgetter(2), entries)

    def stock(self, demand: Demand) -> Stock:
        """Return where there is what for a demand; it is kept up to date."""
        stock = self._stocks.get(demand)
        if stock is None:
            if len(self._stocks) >= _MAX_STOCKS:
                self._stocks.clear()
            stock = self._stocks[demand] = Stock()
            for _, _, stored in self._all:
                if stored.home is not None and demand.is_met_by(stored):
                    stock.note(stored.home, +1)
        return stock

    def copy(self) -> FreeVolumes:
        """Return the same volumes, to change on their own from now on."""
        other = FreeVolumes()
        other._all = self._all.copy()
        other._by_home = {home: entries.copy() for home, entries in self._by_home.items()}
        return other

    def _note(self, stored: StoredVolume, change: int) -> None:
        if stored.home is not None:
            for demand, stock in self._stocks.items():
                if demand.is_met_by(stored):
                    stock.note(stored.home, change)


def _from(entries: list[Entry] | tuple[()], at_least: int) -> Iterator[Entry]:
    return islice(entries, _place(entries, at_least), None)


def _place(entries: list[Entry] | tuple[()], size: int, name: str = "") -> int:
    """Return where a volume of that size and name is in order, or would be."""
    return bisect_left(entries, (size, name), key=itemgetter(0, 1))
