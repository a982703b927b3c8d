"""Which paths two objects differ in, and which paths an object has.

Matches `typed.TypedValue.Compare` and `ToFieldSet` of `sigs.k8s.io/structured-merge-diff`. A null
is a value here: it is there, and it is empty.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kubeberth.apiserver.managed_fields.field_set import (
    LEAF,
    MEMBER,
    Node,
    recursive_difference,
)
from kubeberth.apiserver.managed_fields.shape import LIST, SCALAR, Shape


class Comparison(NamedTuple):
    """How an object differs from another one.

    Parameters
    ----------
    changed
        The paths that the second object has, and the first one not, or with another value.
    removed
        The paths that only the first object has.
    """

    changed: Node
    removed: Node

    def without(self, fields: Node) -> Comparison:
        """Return the comparison as if these fields, and all below them, were not there."""
        changed = recursive_difference(self.changed, fields)
        return Comparison(changed, recursive_difference(self.removed, fields))


def _merges(shape: Shape, value: Any) -> bool:
    """Return whether a value has parts that are owned one by one."""
    if shape.is_atomic or not value:
        return False
    code, kind = shape.code, type(value)
    if code == SCALAR:
        return False
    return kind is list if code == LIST else kind is dict


def _compare_values(shape: Shape, old: Any, new: Any) -> tuple[Node | None, Node | None]:
    """Compare two values that are both there, and unequal: what has changed, what is removed."""
    # An empty value, or null, has the shape that the other one has.
    is_split, was_split = _merges(shape, new), _merges(shape, old)
    if not (is_split or was_split) or (new and not is_split) or (old and not was_split):
        return LEAF, None
    if shape.code == LIST:
        changed, removed = _compare_lists(shape, old or [], new or [])
    else:
        changed, removed = compare(shape, old or {}, new or {})
    return changed or None, removed or None


def compare(shape: Shape, old: dict[str, Any], new: dict[str, Any]) -> Comparison:
    """Compare two objects, or maps, of a shape."""
    changed: Node = {}
    removed: Node = {}
    n_shared = 0
    for name, value in new.items():
        if name not in old:
            changed[f"f:{name}"] = all_of(shape.child(name), value)
            continue
        n_shared += 1
        before = old[name]
        if before is not value and before != value:
            step = f"f:{name}"
            more, less = _compare_values(shape.child(name), before, value)
            if more is not None:
                changed[step] = more
            if less is not None:
                removed[step] = less
    if n_shared < len(old):
        for name, value in old.items():
            if name not in new:
                removed[f"f:{name}"] = all_of(shape.child(name), value)
    return Comparison(changed, removed)


def _compare_lists(shape: Shape, old: list[Any], new: list[Any]) -> Comparison:
    changed: Node = {}
    removed: Node = {}
    before, after = by_step(shape, old), by_step(shape, new)
    element = shape.element
    for step, values in after.items():
        others = before.get(step)
        if others is None:
            changed[step] = all_of(element, values[0]) if len(values) == 1 else LEAF
        elif values != others:
            if len(values) != 1 or len(others) != 1:
                changed[step] = LEAF
                continue
            more, less = _compare_values(element, others[0], values[0])
            if more is not None:
                changed[step] = more
            if less is not None:
                removed[step] = less
    for step, values in before.items():
        if step not in after:
            removed[step] = all_of(element, values[0]) if len(values) == 1 else LEAF
    return Comparison(changed, removed)


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
