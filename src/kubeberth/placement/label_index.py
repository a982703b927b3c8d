"""LabelIndex: finds by one label what would otherwise be looked for in a whole cluster."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

Label = tuple[str, str]
"""Key and value."""


ANYWHERE = "*"
"""In place of a namespace, for what is to be found from every one; no namespace is called so."""


class LabelIndex(Generic[T]):
    """Things filed by namespace and label; those without a label are filed by namespace alone."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, Label | None], dict[T, None]] = {}

    def add(self, namespace: str, labels: Iterable[Label | None], item: T) -> None:
        """File a thing under some labels of a namespace, in order."""
        for label in labels:
            self._entries.setdefault((namespace, label), {})[item] = None

    def remove(self, namespace: str, labels: Iterable[Label | None], item: T) -> None:
        """Take a thing out that was filed like that."""
        for label in labels:
            found = self._entries[namespace, label]
            del found[item]
            if not found:
                del self._entries[namespace, label]

    def find(self, namespace: str, labels: Iterable[Label | None]) -> Iterator[T]:
        """Yield what is filed under any of some labels of a namespace."""
        for label in labels:
            yield from self._entries.get((namespace, label), ())

    def copy(self) -> LabelIndex[T]:
        """Return one with the same things that changes on its own from now on."""
        other: LabelIndex[T] = LabelIndex()
        other._entries = {key: found.copy() for key, found in self._entries.items()}
        return other
