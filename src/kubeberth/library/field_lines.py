"""In which line of a text a field stands."""

from __future__ import annotations

from collections.abc import Sequence

import yaml


class FieldLines:
    """Knows the lines of the fields of every document in a text of YAML or JSON."""

    def __init__(self, text: str | bytes) -> None:
        try:
            nodes = [node for node in yaml.compose_all(text, yaml.CSafeLoader) if node is not None]
        except yaml.YAMLError:
            # JSON that is no YAML, such as one that is indented with tabs.
            nodes = []
        self._documents = {node.start_mark.line + 1: node for node in nodes}

    def line(self, document_line: int, path: Sequence[str | int]) -> int:
        """Return the line of a field, or of what is nearest to it on the way there.

        Parameters
        ----------
        document_line
            Where the document begins, or a line before it.
        """
        starts = sorted(self._documents)
        begins = [start for start in starts if start <= document_line] or starts
        if not begins:
            return document_line
        start = begins[-1]
        node: yaml.Node | None = self._documents[start]
        line = start
        for step in path:
            node, line = _below(node, step, line)
            if node is None:
                break
        return line


def _below(node: yaml.Node | None, step: str | int, line: int) -> tuple[yaml.Node | None, int]:
    """Return what lies one step below a node, and its line; None and the node's if nothing does."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item, item.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        return None, line
    for key, value in reversed(node.value):  # of several the last one counts
        if isinstance(key, yaml.ScalarNode) and key.value == step:
            return value, key.start_mark.line + 1
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == "<<":
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                found, at = _below(part, step, line)
                if found is not None:
                    return found, at
    return None, line
