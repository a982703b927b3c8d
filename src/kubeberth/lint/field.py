"""Field: a value in a document together with where it is.

Reading is lenient: what is not there, or has another shape than expected, is empty. That a shape is
wrong is told by one rule (KB001), and so is no other rule's to care for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A value, None when there is none, and its path from the top of the object."""

    value: Any
    path: Path = ()

    def at(self, *steps: str) -> Field:
        """Return the field some steps below."""
        value = self.value
        for step in steps:
            value = value.get(step) if isinstance(value, Mapping) else None
        return Field(value, (*self.path, *steps))

    def each(self, *steps: str) -> Iterator[Field]:
        """Yield the entries of the list some steps below."""
        found = self.at(*steps)
        if isinstance(found.value, list | tuple):
            for index, item in enumerate(found.value):
                yield Field(item, (*found.path, index))

    def entries(self, *steps: str) -> Iterator[tuple[str, Field]]:
        """Yield key and field of all that is in the mapping some steps below."""
        found = self.at(*steps)
        if isinstance(found.value, Mapping):
            for key, item in found.value.items():
                yield key, Field(item, (*found.path, key))

    @property
    def exists(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    @property
    def text(self) -> str:
        """The value if it is a text, otherwise an empty one."""
        return self.value if isinstance(self.value, str) else ""

    @property
    def number(self) -> int | None:
        """The value if it is an integer."""
        is_number = isinstance(self.value, int) and not isinstance(self.value, bool)
        return self.value if is_number else None

    @property
    def texts(self) -> dict[str, str]:
        """The entries of a mapping that are texts."""
        return {key: item.text for key, item in self.entries() if isinstance(item.value, str)}

    @property
    def values(self) -> frozenset[str]:
        """The texts in a list."""
        return frozenset(item.text for item in self.each() if isinstance(item.value, str))
