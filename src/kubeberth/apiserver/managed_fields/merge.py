"""An applied configuration merged into a live object, and paths taken out of an object.

Matches `typed.TypedValue.Merge` and `RemoveItems` of `sigs.k8s.io/structured-merge-diff`. Both
share what does not change with what they are given; a map or list of which nothing is left
becomes null.
"""

from __future__ import annotations

from typing import Any, Final

from kubeberth.apiserver.managed_fields.compare import by_step
from kubeberth.apiserver.managed_fields.field_set import LEAF, MEMBER, Node, is_in
from kubeberth.apiserver.managed_fields.shape import ANY, LIST, MAP, Shape

_ABSENT: Final = object()


def merge(shape: Shape, live: Any, config: Any) -> Any:
    """Return a live value with a configuration merged in, by the types of a shape."""
    if live is _ABSENT or config is _ABSENT:
        return live if config is _ABSENT else config
    if shape.is_atomic or (not live and not config):
        return config
    if shape.code in (MAP, ANY) and _is_or_null(live, dict) and _is_or_null(config, dict):
        return _merge_maps(shape, live or {}, config or {})
    if shape.code == LIST and _is_or_null(live, list) and _is_or_null(config, list):
        return _merge_lists(shape, live or [], config or [])
    return config


def _is_or_null(value: Any, kind: type) -> bool:
    return value is None or isinstance(value, kind)


def _merge_maps(shape: Shape, live: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    merged = dict(live)
    for name, value in config.items():
        merged[name] = merge(shape.child(name), live.get(name, _ABSENT), value)
    return merged


def _merge_lists(shape: Shape, live: list[Any], config: list[Any]) -> list[Any]:
    """Return the elements of both lists.

    The order is that of the configuration; elements that only the live object has stay where they
    are between those that both have.
    """
    left, right = [shape.step_of(i) for i in live], [shape.step_of(i) for i in config]
    mine, theirs = by_step(shape, live), by_step(shape, config)

    def merged(step: str) -> Any:
        found = mine.get(step, ())
        item = found[0] if len(found) == 1 else _ABSENT
        return merge(shape.element, item, theirs[step][0])

    shared = [step for step in right if step in mine]
    result: list[Any] = []
    done: set[str] = set()
    i = j = 0
    while i < len(left) or j < len(right):
        if i < len(left) and j < len(right):
            if left[i] == right[j]:
                result.append(merged(right[j]))
                done.add(right[j])
                i, j = i + 1, j + 1
                shared = shared[1:]
                continue
            if left[i] in theirs and shared and shared[0] != left[i]:
                i += 1  # both have it, but the configuration has it later
                continue
        if i < len(left):
            if left[i] not in theirs:
                result.append(live[i])
                i += 1
                continue
            if left[i] in done:
                i += 1
        if j < len(right):
            result.append(merged(right[j]))
            done.add(right[j])
            if shared and shared[0] == right[j]:
                shared = shared[1:]
            j += 1
    return result


def without(shape: Shape, value: Any, fields: Node) -> Any:
    """Return a value without the members of a set of its paths."""
    if not fields or not isinstance(value, dict | list):
        return value
    if shape.is_atomic or (isinstance(value, list) and shape.code != LIST):
        return None
    if isinstance(value, list):
        items = [(shape.step_of(item), shape.element, item) for item in value]
        return [kept for _, kept in _kept(items, fields)] or None
    named = [(f"f:{name}", shape.child(name), item) for name, item in value.items()]
    return {step[2:]: kept for step, kept in _kept(named, fields)} or None


def _kept(parts: list[tuple[str, Shape, Any]], fields: Node) -> list[tuple[str, Any]]:
    """Return the parts of a value that are left, by the steps to them."""
    kept = []
    for step, shape, item in parts:
        node = fields.get(step)
        if node is None:
            kept.append((step, item))
        elif not is_in(node):
            kept.append((step, without(shape, item, node)))
    return kept


def with_named(shape: Shape, fields: Node) -> Node:
    """Return a set with the declared fields on the way to its members.

    A claim to `spec.replicas` thereby also holds `spec`, which is no list element or map entry
    that anybody claims by itself.
    """
    result = {}
    for step, node in fields.items():
        below = child_of(shape, step) if node else None
        if below is None:
            result[step] = node
            continue
        named = with_named(below, node)
        if step[0] == "f" and shape.declares(step[2:]) and MEMBER not in named:
            named = {MEMBER: LEAF, **named}
        result[step] = named
    return result


def child_of(shape: Shape, step: str) -> Shape | None:
    """Return the shape to which a step leads, or None for what no type has."""
    if step[0] == "f" and shape.code in (MAP, ANY):
        return shape.child(step[2:])
    return shape.element if step[0] in "kv" and shape.code == LIST else None
