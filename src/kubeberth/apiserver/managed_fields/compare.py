"""Which paths two objects differ in, and which paths an object has.

Matches `typed.TypedValue.Compare` and `ToFieldSet` of `sigs.k8s.io/structured-merge-diff`. A null
is a value here: it is there, and it is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubeberth.apiserver.managed_fields.field_set import (
    LEAF,
    MEMBER,
    Node,
    recursive_difference,
    union,
)
from kubeberth.apiserver.managed_fields.shape import ANY, LIST, MAP, Shape


@dataclass(slots=True)
class Comparison:
    """The paths that only the second object has, that differ, and that only the first one has."""

    added: Node
    modified: Node
    removed: Node

    @property
    def changed(self) -> Node:
        """What the second object has and the first one has not, or not so."""
        return union(self.modified, self.added)

    def without(self, fields: Node) -> Comparison:
        """Return the comparison as if these fields, and all below them, were not there."""
        return Comparison(
            recursive_difference(self.added, fields),
            recursive_difference(self.modified, fields),
            recursive_difference(self.removed, fields),
        )


def compare(shape: Shape, old: Any, new: Any) -> Comparison:
    """Compare two objects of a shape."""
    found = Comparison({}, {}, {})
    _compare_maps(shape, old, new, found)
    return found


def _merges(shape: Shape, value: Any) -> bool:
    """Return whether a value has parts that are owned one by one."""
    if shape.is_atomic or not value:
        return False
    kind = type(value)
    if shape.code == MAP or shape.code == ANY:
        return kind is dict
    return shape.code == LIST and kind is list


def _compare_values(step: str, shape: Shape, old: Any, new: Any, into: Comparison) -> None:
    """Compare two values that are both there, and unequal."""
    # An empty value, or null, has the shape that the other one has.
    parts = _merges(shape, old) or not old, _merges(shape, new) or not new
    if not all(parts) or not (_merges(shape, old) or _merges(shape, new)):
        into.modified[step] = LEAF
        return
    below = Comparison({}, {}, {})
    if shape.code == LIST:
        _compare_lists(shape, old or [], new or [], below)
    else:
        _compare_maps(shape, old or {}, new or {}, below)
    if below.added:
        into.added[step] = below.added
    if below.modified:
        into.modified[step] = below.modified
    if below.removed:
        into.removed[step] = below.removed


def _compare_maps(shape: Shape, old: dict[str, Any], new: dict[str, Any], into: Comparison) -> None:
    for name, value in new.items():
        if name not in old:
            into.added[f"f:{name}"] = all_of(shape.child(name), value)
        elif (before := old[name]) is not value and before != value:
            _compare_values(f"f:{name}", shape.child(name), before, value, into)
    for name, value in old.items():
        if name not in new:
            into.removed[f"f:{name}"] = all_of(shape.child(name), value)


def _compare_lists(shape: Shape, old: list[Any], new: list[Any], into: Comparison) -> None:
    before, after = by_step(shape, old), by_step(shape, new)
    element = shape.element
    for step, values in after.items():
        others = before.get(step)
        if others is None:
            into.added[step] = all_of(element, values[0]) if len(values) == 1 else LEAF
        elif values != others:
            if len(values) == len(others) == 1:
                _compare_values(step, element, others[0], values[0], into)
            else:
                into.modified[step] = LEAF
    for step, values in before.items():
        if step not in after:
            into.removed[step] = all_of(element, values[0]) if len(values) == 1 else LEAF


def by_step(shape: Shape, items: list[Any]) -> dict[str, list[Any]]:
    """Return the elements of a list that merges; more than one where keys are not unique."""
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(shape.step_of(item), []).append(item)
    return found


def all_of(shape: Shape, value: Any) -> Node:
    """Return the paths of a value that is new, or gone, with that of the value itself."""
    if not _merges(shape, value):
        return LEAF
    node: Node = {MEMBER: LEAF}
    if shape.code == LIST:
        for step, values in by_step(shape, value).items():
            node[step] = all_of(shape.element, values[0]) if len(values) == 1 else LEAF
    else:
        for name, item in value.items():
            node[f"f:{name}"] = all_of(shape.child(name), item)
    return node


def fields_of(shape: Shape, value: dict[str, Any]) -> Node:
    """Return the paths that a configuration claims: its leaves, list elements and map entries."""
    node: Node = {}
    for name, item in value.items():
        below = _claimed(shape.child(name), item)
        # What the definition does not name, or what holds nothing, is owned itself.
        is_own = item is None or item == {} or not shape.declares(name)
        if is_own:
            below = {MEMBER: LEAF, **below} if below else LEAF
        if below is not None:
            node[f"f:{name}"] = below
    return node


def _claimed(shape: Shape, value: Any) -> Node | None:
    """Return the paths that a value claims; None when it claims nothing, not even itself."""
    if shape.is_atomic or not isinstance(value, dict | list):
        is_whole = shape.is_atomic or value is not None
        return LEAF if is_whole else None
    if isinstance(value, dict):
        return fields_of(shape, value) or None
    if shape.code != LIST:
        return LEAF  # a list in free-form data is one value
    node: Node = {}
    for step, values in by_step(shape, value).items():
        below = _claimed(shape.element, values[0]) if len(values) == 1 else None
        node[step] = {MEMBER: LEAF, **below} if below else LEAF
    return node or None
