"""Sets of field paths, held as the JSON that `fieldsV1` is: nothing to decode, nothing to encode.

Rule 1: a set is a tree of dicts; a key is one step of a path: `f:` and a field's name, `k:` and the
        keys of a list element, `v:` and the value of a set's element, `i:` and an index.
Rule 2: a step leads to a member when its node is empty or has the key `.`. What has neither members
        nor steps below it is not in the tree, and `{".": {}}` is written `{}`.
Rule 3: the order of steps means nothing; it is made when a set is shown or written.
Rule 4: nodes are shared and never changed: every function returns new ones, or the very ones that
        it was given where nothing changes.

Matches `fieldpath` of `sigs.k8s.io/structured-merge-diff`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec

Node = dict[str, Any]
Path = tuple[str, ...]

MEMBER: Final = "."
LEAF: Final[Node] = {}
# The order of the kinds of steps.
_KINDS = {".": 0, "f": 1, "k": 2, "v": 3, "i": 4}
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode


class FieldSetError(ValueError):
    """A `fieldsV1` from outside is no set of paths."""


def union(left: Node, right: Node) -> Node:
    """Return the paths that are in one of two sets, or in both."""
    if left is right or not right:
        return left
    if not left:
        return right
    return _union(left, right)


def _union(left: Node, right: Node) -> Node:
    changes = {}
    for step, node in right.items():
        found = left.get(step)
        if found is None:
            changes[step] = node
        elif (both := _union_node(found, node)) is not found:
            changes[step] = both
    if not changes:
        return left
    return left | changes


def _union_node(left: Node, right: Node) -> Node:
    if left is right or left == right:
        return left
    if not left:
        return right if MEMBER in right else {MEMBER: LEAF, **right}
    if not right:
        return left if MEMBER in left else {MEMBER: LEAF, **left}
    return _union(left, right)


def difference(left: Node, right: Node) -> Node:
    """Return the paths of a set that are not members of another one; what lies below stays."""
    return _without(left, right, is_deep=False) if left and right else left


def recursive_difference(left: Node, right: Node) -> Node:
    """Return the paths of a set that are neither in another one nor below a member of it."""
    return _without(left, right, is_deep=True) if left and right else left


def _without(left: Node, right: Node, *, is_deep: bool) -> Node:
    kept: Node = {}
    is_same = True
    for step, node in left.items():
        other = right.get(step)
        if other is None:
            kept[step] = node
            continue
        rest = _without_node(node, other, is_deep=is_deep)
        is_same &= rest is node
        if rest is not None:
            kept[step] = rest
    return left if is_same else kept


def _without_node(left: Node, right: Node, *, is_deep: bool) -> Node | None:
    """Return what is left of a node, or None when nothing is."""
    loses_member = not right or MEMBER in right
    if loses_member and is_deep:
        return None
    if not left:
        return None if loses_member else left
    kept = _without(left, right, is_deep=is_deep)
    if loses_member and MEMBER in kept:
        kept = {step: node for step, node in kept.items() if step != MEMBER}
    return _tidy(kept, left)


def _tidy(kept: Node, before: Node) -> Node | None:
    if kept is before:
        return before
    if not kept:
        return None
    return LEAF if len(kept) == 1 and MEMBER in kept else kept


def intersection(left: Node, right: Node) -> Node:
    """Return the paths that are in both sets."""
    if left is right:
        return left
    both: Node = {}
    small, large = (left, right) if len(left) <= len(right) else (right, left)
    for step, node in small.items():
        other = large.get(step)
        if other is not None and (shared := _intersection_node(node, other)) is not None:
            both[step] = shared
    return both


def _intersection_node(left: Node, right: Node) -> Node | None:
    if left is right or left == right:
        return left
    is_member = is_in(left) and is_in(right)
    if not left or not right:
        return LEAF if is_member else None
    both = intersection(left, right)
    if is_member and MEMBER not in both:
        both = {MEMBER: LEAF, **both}
    return _tidy(both, left)


def is_in(node: Node) -> bool:
    """Return whether the step to a node leads to a member."""
    return not node or MEMBER in node


def has(fields: Node, path: Iterable[str]) -> bool:
    """Return whether a path is a member of a set."""
    node: Node | None = fields
    for step in path:
        node = node.get(step) if node else None
        if node is None:
            return False
    return node is not None and is_in(node)


def from_paths(paths: Iterable[Path]) -> Node:
    """Return the set of some paths."""
    fields: Node = {}
    for path in paths:
        node: Node = LEAF
        for step in reversed(path):
            node = {step: node}
        fields = union(fields, node)
    return fields


def paths_of(fields: Node, prefix: Path = ()) -> Iterator[Path]:
    """Yield the members of a set: at each level first those that are there, then those below."""
    steps = sorted((step for step in fields if step != MEMBER), key=_order)
    for step in steps:
        if is_in(fields[step]):
            yield (*prefix, step)
    for step in steps:
        yield from paths_of(fields[step], (*prefix, step))


@lru_cache(maxsize=4096)
def _order(step: str) -> tuple[int, Any]:
    kind, value = _KINDS[step[0]], step[2:]
    if kind <= 1:
        return kind, value
    if step[0] == "i":
        return kind, int(value)
    decoded = _decode(value)
    if isinstance(decoded, dict):
        return kind, tuple((name, _scalar_order(item)) for name, item in sorted(decoded.items()))
    return kind, _scalar_order(decoded)


def _scalar_order(value: Any) -> tuple[int, Any]:
    """Order numbers before texts, texts before truth values."""
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, int | float):
        return 0, value
    return 1, str(value)


def field_step(name: str) -> str:
    """Return the step to a field."""
    return f"f:{name}"


@lru_cache(maxsize=16384)
def key_step(keys: tuple[tuple[str, Any, type], ...]) -> str:
    """Return the step to the list element with these keys, sorted by name.

    The type of each value is part of the question, because Python takes 1 and True for the same.
    """
    return "k:" + _encode({name: value for name, value, _ in keys}).decode()


def value_step(value: Any) -> str:
    """Return the step to an element of a set."""
    return "v:" + _encode(value).decode()


def text_of(path: Path) -> str:
    """Return a path as messages show it: `.spec.containers[name="c"].image`."""
    return "".join(map(step_text, path))


def step_text(step: str) -> str:
    """Return a step as messages show it."""
    kind, value = step[0], step[2:]
    if kind == "f":
        return f".{value}"
    if kind == "k":
        keys = _decode(value)
        return "[" + ",".join(f"{k}={_encode(keys[k]).decode()}" for k in sorted(keys)) + "]"
    return f"[={value}]" if kind == "v" else f"[{value}]"


def parse(value: Any) -> Node:
    """Return the set that a `fieldsV1` from outside holds, in the form of the rules above.

    Raises
    ------
    FieldSetError
        It is none.
    """
    if value is None:
        return {}
    return _parse(value, is_root=True)


def _parse(value: Any, *, is_root: bool = False) -> Node:
    if not isinstance(value, dict):
        raise FieldSetError("a set of fields is an object")
    node = {}
    for step, below in value.items():
        if step == MEMBER:
            if not is_root:
                node[MEMBER] = LEAF
        else:
            node[_parse_step(step)] = _parse(below)
    if len(node) == 1 and MEMBER in node:
        return LEAF
    return node


def _parse_step(step: str) -> str:
    kind, separator, value = step[:1], step[1:2], step[2:]
    if separator != ":" or kind not in "fkvi":
        raise FieldSetError(f"unknown path element: {step}")
    try:
        if kind == "i":
            return f"i:{int(value)}"
        if kind == "f":
            return step
        decoded = _decode(value)
    except (ValueError, msgspec.DecodeError) as error:
        raise FieldSetError(f"malformed path element: {step}") from error
    if kind == "k" and not isinstance(decoded, dict):
        raise FieldSetError(f"malformed path element: {step}")
    return f"{kind}:{_encode(decoded).decode()}"
