"""Where in a text a field stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

Path = Sequence[str | int]
_Entry = tuple[yaml.Node | None, yaml.Node]


_STEP = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a text.

    Parameters
    ----------
    line, column
        Where it begins, from 1; columns are counted in characters.
    start, end
        Offsets of its characters in the text.
    """

    line: int
    column: int = 1
    start: int = 0
    end: int = 0


def field_path(field: str) -> tuple[str | int, ...]:
    """Return the path that an API server writes as `spec.containers[0].name`."""
    return tuple(
        int(inner) if inner.isdecimal() else inner or name for inner, name in _STEP.findall(field)
    )


class FieldLines:
    """Knows the places of the fields of every document in a text of YAML or JSON."""

    def __init__(self, text: str | bytes) -> None:
        try:
            nodes = [node for node in yaml.compose_all(text, yaml.CSafeLoader) if node is not None]
        except yaml.YAMLError:
            # JSON that is no YAML, such as one that is indented with tabs.
            nodes = []
        self._documents = {node.start_mark.line + 1: node for node in nodes}
        self._starts = sorted(self._documents)

    def line(self, document_line: int, path: Path) -> int:
        """Return the line of a field, or of what is nearest to it on the way there.

        Parameters
        ----------
        document_line
            Where the document begins, or a line before it.
        """
        return self.place(document_line, path, is_key=True).line

    def place(self, document_line: int, path: Path, *, is_key: bool = False) -> Place:
        """Return the place of a field, or of what is nearest to it on the way there.

        Parameters
        ----------
        is_key
            Whether the key is meant; otherwise it is the value if that is a scalar.
        """
        entries = list(self._entries(document_line, path))
        if not entries:
            return Place(document_line)
        key, value = entries[-1]
        is_complete = len(entries) == len(path) + 1
        is_scalar = isinstance(value, yaml.ScalarNode) and not is_key and is_complete
        return _place(value if key is None or is_scalar else key)

    def lines(self, document_line: int, path: Path) -> list[int]:
        """Return the lines of a field and of all that it is part of, from the top."""
        return [_place(key or value).line for key, value in self._entries(document_line, path)]

    def _entries(self, document_line: int, path: Path) -> Iterator[_Entry]:
        """Yield key and value of every step that there is, the document's first."""
        if not self._starts:
            return
        found = max(bisect_right(self._starts, document_line) - 1, 0)
        node: yaml.Node = self._documents[self._starts[found]]
        yield None, node
        for step in path:
            entry = _below(node, step)
            if entry is None:
                return
            yield entry
            node = entry[1]


def _place(node: yaml.Node) -> Place:
    start, end = node.start_mark, node.end_mark
    last = end.index if isinstance(node, yaml.ScalarNode) else start.index
    return Place(start.line + 1, start.column + 1, start.index, last)


def _below(node: yaml.Node, step: str | int) -> _Entry | None:
    """Return key and value of what lies one step below a node."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in reversed(node.value):  # of several the last one counts
        if isinstance(key, yaml.ScalarNode) and key.value == step:
            return key, value
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == "<<":
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                entry = _below(part, step)
                if entry is not None:
                    return entry
    return None
