"""JSON patch, RFC 6902, as lenient as the Go library that Kubernetes uses.

Beyond the RFC: an `add` without value adds null, and `replace` also adds what is not there.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

import msgspec

MAX_OPERATIONS = 10_000
# Copies may double a document with every operation; upstream allows as much as a body may hold.
MAX_COPIED_BYTES = 3 * 1024 * 1024

_INDEX = re.compile(r"0|[1-9][0-9]*")
_APPEND = "-"


class JSONPatchError(ValueError):
    """An operation cannot be carried out."""


class JSONPatchTestError(JSONPatchError):
    """A `test` fails: the document is not what the patch is meant for."""


# Numbers with a fraction are texts of a type of their own: see `json_syntax.NumberText`.
_encode = msgspec.json.Encoder(enc_hook=str).encode


def apply_json_patch(document: Any, operations: list[Any]) -> Any:
    """Return the document with all operations carried out; the one given stays as it is.

    Raises
    ------
    JSONPatchError
        An operation is malformed, points to nothing, or is a `test` that fails.
    """
    # The root is a member too, so that the path "" needs no rules of its own.
    root = {"": copy.deepcopy(document)}
    n_copied = 0
    for operation in operations:
        if not isinstance(operation, dict):
            raise JSONPatchError("an operation is not an object")
        if operation.get("op") == "copy":
            n_copied += len(_encode(_get(root, _pointer(operation, "from"))))
            if n_copied > MAX_COPIED_BYTES:
                raise JSONPatchError(f"copies more than {MAX_COPIED_BYTES} bytes")
        _apply(root, operation)
    return root[""]


def _apply(root: dict[str, Any], operation: Mapping[str, Any]) -> None:
    path = _pointer(operation, "path")
    value = copy.deepcopy(operation.get("value"))
    match operation.get("op"):
        case "add":
            _add(root, path, value)
        case "remove":
            _remove(root, path)
        case "replace":
            _replace(root, path, value)
        case "move":
            source = _pointer(operation, "from")
            moved = _get(root, source)
            _remove(root, source)
            _add(root, path, moved)
        case "copy":
            _add(root, path, copy.deepcopy(_get(root, _pointer(operation, "from"))))
        case "test":
            _test(root, path, value)
        case other:
            raise JSONPatchError(f"unexpected kind: {other}")


def _pointer(operation: Mapping[str, Any], field: str) -> list[str]:
    """Return the parts of a JSON pointer, starting at the root member."""
    pointer = operation.get(field)
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise JSONPatchError(f"{field} is not a JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]


def _parent(root: dict[str, Any], path: list[str]) -> Any:
    """Return the object or list that holds the end of a path."""
    holder: Any = root
    for part in path[:-1]:
        holder = _member(holder, part)
    if not isinstance(holder, dict | list):
        raise JSONPatchError(f"missing path: {'/'.join(path)}")
    return holder


def _member(holder: Any, part: str) -> Any:
    if isinstance(holder, dict):
        if part not in holder:
            raise JSONPatchError(f"missing key: {part}")
        return holder[part]
    if isinstance(holder, list):
        return holder[_index(holder, part, len(holder) - 1)]
    raise JSONPatchError(f"missing path: {part}")


def _index(holder: list[Any], part: str, highest: int) -> int:
    if not _INDEX.fullmatch(part) or int(part) > highest:
        raise JSONPatchError(f"unable to access invalid index: {part}")
    return int(part)


def _get(root: dict[str, Any], path: list[str]) -> Any:
    return _member(_parent(root, path), path[-1])


def _add(root: dict[str, Any], path: list[str], value: Any) -> None:
    holder, last = _parent(root, path), path[-1]
    if isinstance(holder, dict):
        holder[last] = value
    elif last == _APPEND:
        holder.append(value)
    else:
        holder.insert(_index(holder, last, len(holder)), value)


def _remove(root: dict[str, Any], path: list[str]) -> None:
    holder, last = _parent(root, path), path[-1]
    if holder is root:
        raise JSONPatchError("the whole document cannot be removed")
    _member(holder, last)
    del holder[last if isinstance(holder, dict) else int(last)]


def _replace(root: dict[str, Any], path: list[str], value: Any) -> None:
    holder, last = _parent(root, path), path[-1]
    if isinstance(holder, dict):
        holder[last] = value
    else:
        holder[_index(holder, last, len(holder) - 1)] = value


def _test(root: dict[str, Any], path: list[str], value: Any) -> None:
    holder, last = _parent(root, path), path[-1]
    found = holder.get(last) if isinstance(holder, dict) else _member(holder, last)
    if not _equal(found, value):
        raise JSONPatchTestError(f"testing path {'/'.join(path)} failed")


def _equal(left: Any, right: Any) -> bool:
    """Compare as JSON does, where true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)
