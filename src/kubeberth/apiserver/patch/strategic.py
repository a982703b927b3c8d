"""Strategic merge patch: like a merge patch, but lists merge by the keys of the schema table.

Matches `k8s.io/apimachinery/pkg/util/strategicpatch` of Kubernetes 1.36.

Rule 1: objects merge field by field; null deletes; what the document lacks is taken over.
Rule 2: a list whose field has the strategy `merge` merges: objects by merge key, scalars as a set.
        Every other list is replaced.
Rule 3: directives steer this and never stay in the result: `$patch` in an object or list element,
        `$retainKeys`, and beside a list `$setElementOrder/<list>` and
        `$deleteFromPrimitiveList/<list>`.
Rule 4: elements that the patch (or its order list) names come in its order; the others keep theirs,
        and the two are zipped so that neighbours stay neighbours where they were before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from kubeberth.api.schema import LIST, MAP, OBJECT, Definition, Field
from kubeberth.apiserver.patch.go_text import go_string, go_text

PATCH = "$patch"
RETAIN_KEYS = "$retainKeys"
SET_ORDER = "$setElementOrder"
DELETE_FROM_LIST = "$deleteFromPrimitiveList"
_DIRECTIVES = (PATCH, RETAIN_KEYS, f"{SET_ORDER}/", f"{DELETE_FROM_LIST}/")

# How Go calls what it expected and what it found; a struct may be made of any map.
_SHAPES = {LIST: ("slice",), MAP: ("map",), OBJECT: ("struct", "map")}
_KINDS = {dict: "map", list: "slice", str: "string", bool: "bool", int: "int64", float: "float64"}

Object = dict[str, Any]
Elements = list[Any]


class StrategicPatchError(ValueError):
    """A patch cannot be applied.

    Parameters
    ----------
    code
        HTTP status of the answer: 400 for directives in a wrong form, 422 for a result that is no
        object of the kind, 500 for most of the rest, because upstream does not know these errors
        for the caller's fault.
    """

    def __init__(self, message: str, code: int = 500) -> None:
        super().__init__(message)
        self.code = code


def is_plain(text: bytes) -> bool:
    """Return whether a patch cannot have directives or nulls; most have neither."""
    return b"$" not in text and b"null" not in text and b"\\u" not in text


def apply_strategic_patch(
    document: Object, patch: Object, definition: Definition | None, *, plain: bool = False
) -> Object:
    """Return the document with the patch merged in; both stay as they are.

    Parts that the patch does not change, and a document of which it changes nothing, are returned
    themselves.

    Parameters
    ----------
    definition
        Fields of the document; without one everything merges as plain JSON.
    plain
        The patch has neither directives nor nulls: what is new in it is taken over as it is.

    Raises
    ------
    StrategicPatchError
        A directive or merge key is missing or in a wrong form.
    """
    merged = dict(document)
    if not plain:
        directive = patch.get(PATCH)
        rest = {key: value for key, value in patch.items() if key != PATCH}
        if directive == "replace":
            return rest
        if directive == "delete":
            return {}
        if directive not in (None, "merge"):
            raise _bad_directive(patch)
        if RETAIN_KEYS in rest:
            merged = _retained(merged, rest, rest.pop(RETAIN_KEYS))
        patch = _merge_ordered_lists(merged, rest, definition)
    for key, value in patch.items():
        if not plain and key.startswith(f"{DELETE_FROM_LIST}/"):
            _delete_from_list(merged, key, value)
        elif value is None:
            merged.pop(key, None)
        elif type(merged.get(key)) is not type(value) or not isinstance(value, dict | list):
            field = _field(definition, key)
            if field is not None:
                _check_shape(value, field)
            merged[key] = value if plain else _added(value)
        else:
            merged[key] = _merge_value(merged[key], value, _field(definition, key), plain=plain)
    return document if _is_same(document, merged) else merged


def _is_same(document: Object, merged: Object) -> bool:
    """Return whether a document has the very members that it had: true is not 1 here."""
    if len(document) != len(merged):
        return False
    for (key, before), (other, after) in zip(document.items(), merged.items(), strict=True):
        if key != other:
            return False
        if before is not after and (
            type(before) is not type(after) or isinstance(after, dict | list) or before != after
        ):
            return False
    return True


def _merge_value(old: Any, value: Any, field: Field | None, *, plain: bool = False) -> Any:
    """Merge two objects, or two lists."""
    if isinstance(value, list):
        return _merge_list(old, value, field, plain=plain) if field and field.merges else value
    if field is not None and field.replaces:
        return value
    return apply_strategic_patch(old, value, _definition(field), plain=plain)


def _field(definition: Definition | None, key: str) -> Field | None:
    return definition.fields.get(key) if definition else None


def _definition(field: Field | None) -> Definition | None:
    """Return the definition of an object, or of the elements of a list."""
    if field is None:
        return None
    type_ = field.type.element if field.code == LIST else field.type
    return type_.definition if type_ is not None and type_.code == OBJECT else None


def _added(value: Any) -> Any:
    """Return what is new to the document: the value without directives and nulls."""
    if isinstance(value, dict):
        return {
            key: _added(item)
            for key, item in value.items()
            if item is not None and not key.startswith(_DIRECTIVES)
        }
    if isinstance(value, list):
        return [_added(item) for item in value if not _is_directive(item)]
    return value


def _check_shape(value: Any, field: Field) -> None:
    """Raise when a list stands where an object belongs, or the other way round."""
    wanted = _SHAPES.get(field.code)
    found = _KINDS.get(type(value))
    if wanted is not None and found is not None and found not in wanted:
        colon = ":" if wanted[0] == "struct" else ""
        message = f"cannot restore {wanted[0]} from{colon} {found}"
        raise StrategicPatchError(message, 422)


def _retained(document: Object, patch: Object, keys: Any) -> Object:
    """Return only the named members of a document; the patch may not have any other."""
    if not isinstance(keys, list):
        raise StrategicPatchError("invalid patch format of retainKeys", 400)
    for key, value in patch.items():
        is_directive = key.startswith((f"{DELETE_FROM_LIST}/", f"{SET_ORDER}/"))
        if value is not None and not is_directive and key not in keys:
            raise StrategicPatchError("invalid patch format of retainKeys", 400)
    return {key: value for key, value in document.items() if key in keys}


def _delete_from_list(document: Object, directive: str, values: Any) -> None:
    """Remove values from a list of scalars."""
    if not isinstance(values, list):
        raise StrategicPatchError("invalid patch format of primitive list", 400)
    key = directive.partition("/")[2]
    if isinstance(document.get(key), list):
        document[key] = [item for item in document[key] if item not in values]


def _merge_ordered_lists(document: Object, patch: Object, definition: Definition | None) -> Object:
    """Merge the lists that come with an order; return the patch without them."""
    rest = dict(patch)
    for directive in [key for key in patch if key.startswith(f"{SET_ORDER}/")]:
        order = rest.pop(directive)
        if not isinstance(order, list):
            raise StrategicPatchError("invalid patch format of setElementOrder list", 400)
        key = directive.partition("/")[2]
        old, new = document.get(key), rest.pop(key, None)
        if not isinstance(new, list | None) or not isinstance(old, list | None):
            raise StrategicPatchError("invalid patch format of setElementOrder list", 400)
        field = _field(definition, key)
        merge_key = field.merge_key if field else ""
        _check_order(new or [], order, merge_key)
        if old is None and new is None:
            continue
        if old is None:
            merged = _added(new or [])
        elif new is None:
            merged = old
        else:
            merged = _merge_value(old, new, field)
        document[key] = _in_order(merged, order, old or [], merge_key)
    return rest


def _check_order(new: Elements, order: Elements, merge_key: str) -> None:
    """Raise unless the elements of the patch come in the order that it asks for."""
    identity = _identity(merge_key)
    wanted = iter(order)
    for element in new:
        if _is_directive(element):
            continue
        if not any(identity(element) == identity(other) for other in wanted):
            raise StrategicPatchError(
                f"The order in patch list:\n{go_text(new)}\n doesn't match {SET_ORDER} list:\n"
                f"{go_text(order)}\n"
            )


def _merge_list(old: Elements, new: Elements, field: Field, *, plain: bool) -> Elements:
    """Merge two lists: objects by their merge key, scalars as a set."""
    _check_alike(old, new)
    if not any(isinstance(element, dict) for element in (*old, *new)):
        merged = list(dict.fromkeys((*old, *new)))
        return _in_order(merged, new, old, "")
    key, definition = field.merge_key, _definition(field)
    kept, added = (old, new) if plain else _without_special(old, new, key)
    merged = list(kept)
    identity = _identity(key)
    place: dict[Hashable, int] = {}
    for at, element in enumerate(kept):
        place.setdefault(identity(element), at)
    for element in added:
        if key not in element:
            raise _no_merge_key(element, key)
        at = place.setdefault(identity(element), len(merged))
        if at == len(merged):
            merged.append(element if plain else _added(element))
        else:
            merged[at] = apply_strategic_patch(merged[at], element, definition, plain=plain)
    return _in_order(merged, added, kept, key)


def _check_alike(old: Elements, new: Elements) -> None:
    """Raise unless all elements of two lists are objects, or scalars of one type."""
    types = {type(element) for element in (*old, *new)}
    if list in types:
        raise StrategicPatchError("lists of lists are not supported", 422)
    if len(types) > 1 or type(None) in types:
        raise StrategicPatchError(f"list element types are not identical: {go_text([old, new])}")


def _without_special(old: Elements, new: Elements, key: str) -> tuple[Elements, Elements]:
    """Carry out the `$patch` elements of a list; return what they leave of both lists."""
    ordinary = [element for element in new if not _is_directive(element)]
    is_replaced = False
    for element in new:
        if not _is_directive(element):
            continue
        match element[PATCH]:
            case "delete":
                if key not in element:
                    raise _no_merge_key(element, key)
                old = [item for item in old if item.get(key) != element[key]]
            case "replace":
                is_replaced = True
            case "merge":
                raise StrategicPatchError("merging lists cannot yet be specified in the patch")
            case _:
                raise _bad_directive(element)
    return (ordinary, []) if is_replaced else (old, ordinary)


def _is_directive(element: Any) -> bool:
    return isinstance(element, dict) and PATCH in element


def _in_order(merged: Elements, order: Elements, before: Elements, merge_key: str) -> Elements:
    """Return the elements as rule 4 has them.

    Parameters
    ----------
    order
        The elements (or just their keys) whose order the patch decides.
    before
        The list as it was.
    """
    identity = _identity(merge_key)
    rank = {identity(element): position for position, element in enumerate(order)}
    if not before and len(merged) == len(order) == len(rank):
        return merged  # nothing but what the patch brings, and that in its order
    place = {identity(element): position for position, element in enumerate(before)}
    told = [(identity(element), element) for element in merged]
    named = sorted((one for one in told if one[0] in rank), key=lambda one: rank[one[0]])
    last = len(place)
    others = [one for one in told if one[0] not in rank]
    others.sort(key=lambda one: place.get(one[0], last))

    result: Elements = []
    n_named = n_others = 0
    while n_named < len(named) and n_others < len(others):
        first, second = place.get(others[n_others][0]), place.get(named[n_named][0])
        if first is not None and second is not None and first < second:
            result.append(others[n_others][1])
            n_others += 1
        else:
            result.append(named[n_named][1])
            n_named += 1
    rest = (*named[n_named:], *others[n_others:])
    return result + [element for _, element in rest]


def _identity(merge_key: str) -> Callable[[Any], Hashable]:
    """Return the function that tells which element of a list is meant."""

    def identity(element: Any) -> Hashable:
        if merge_key and isinstance(element, dict):
            element = element.get(merge_key)
        return go_text(element) if isinstance(element, dict | list) else element

    return identity


def _bad_directive(holder: Object) -> StrategicPatchError:
    found = go_string(holder[PATCH])
    return StrategicPatchError(f"unknown patch type: {found} in map: {go_text(holder)}")


def _no_merge_key(element: Object, key: str) -> StrategicPatchError:
    return StrategicPatchError(
        f"map: {go_text(element)} does not contain declared merge key: {key}"
    )
