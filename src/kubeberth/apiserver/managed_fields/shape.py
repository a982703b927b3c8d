"""How ownership sees the types of the schema table: what is one value, and what merges.

Matches `k8s.io/kube-openapi/pkg/schemaconv` and the list and map types of the published schemas.
A shape is compiled when first asked for, as definitions may be cyclic.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from kubeberth.api import schema
from kubeberth.api.schema import Definition, Field, Type
from kubeberth.apiserver.managed_fields.field_set import key_step, value_step

# Codes, compared for every field of every write.
SCALAR: Final = 0
LIST: Final = 1
MAP: Final = 2
# Free-form: the value decides. Objects in it merge, lists are one value.
ANY: Final = 3

_SCALARS = {
    schema.STRING: "string",
    schema.BYTES: "string",
    schema.BOOL: "boolean",
    schema.INT32: "numeric",
    schema.INT64: "numeric",
    schema.DOUBLE: "numeric",
}
_RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension"
# Defaults that the published schemas of these list keys carry.
_KEY_DEFAULTS = {
    ("io.k8s.api.core.v1.ContainerPort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.ServicePort", "protocol"): "TCP",
    ("io.k8s.api.core.v1.LocalObjectReference", "name"): "",
}
# Required fields default to the zero value of their type.
_ZEROS: dict[int, Any] = {schema.STRING: "", schema.INT32: 0, schema.INT64: 0, schema.BOOL: False}


class ListKeyError(ValueError):
    """A list element that cannot be told from the others."""


class Shape:
    """One type.

    Attributes
    ----------
    is_atomic
        The value is owned and replaced as a whole.
    scalar
        What a SCALAR holds: string, numeric, boolean, or untyped for any of these.
    keys
        The fields that tell elements of a LIST apart; none for sets and atomic lists.
    is_open
        A MAP may have keys that it does not declare.
    """

    __slots__ = (
        "_children",
        "_definition",
        "_element",
        "_element_type",
        "_key_defaults",
        "code",
        "is_atomic",
        "is_open",
        "keys",
        "scalar",
    )

    def __init__(
        self,
        code: int,
        *,
        scalar: str = "untyped",
        is_atomic: bool = False,
        keys: Sequence[str] = (),
        definition: Definition | None = None,
        element: Type | None = None,
    ) -> None:
        self.code = code
        self.scalar = scalar
        self.is_atomic = is_atomic
        self.keys = tuple(sorted(keys))
        self.is_open = definition is None
        self._definition = definition
        self._element_type = element
        self._element: Shape | None = None
        self._children: dict[str, Shape] = {}
        self._key_defaults: dict[str, Any] | None = None

    @property
    def element(self) -> Shape:
        """The shape of the elements of a list, or of the undeclared values of a map."""
        if self._element is None:
            self._element = _of_type(self._element_type) if self._element_type else FREE
        return self._element

    def declares(self, name: str) -> bool:
        """Return whether a map has a field of that name by its definition."""
        return self._definition is not None and name in self._definition.fields

    def child(self, name: str) -> Shape:
        """Return the shape of a map's value."""
        found = self._children.get(name)
        if found is None:
            if self._definition is None:
                return self.element
            field = self._definition.fields.get(name)
            found = self._children[name] = _of_field(field) if field else FREE
        return found

    def step_of(self, item: Any) -> str:
        """Return the step to an element of a list that merges.

        Raises
        ------
        ListKeyError
            The element has no keys, or is no value that could be in a set.
        """
        if not self.keys:
            return _set_step(item)
        if item is None:
            raise ListKeyError("associative list with keys may not have a null element")
        if not isinstance(item, dict):
            raise ListKeyError("associative list with keys may not have non-map elements")
        found = []
        for name in self.keys:
            value = item.get(name) if name in item else self._default_of(name)
            if value is not None:
                found.append((name, value, type(value)))
        if not found:
            names = " ".join(f'"{name}"' for name in self.keys)
            raise ListKeyError(
                f"associative list with keys has an element that omits all key fields [{names}] "
                "(and doesn't have default values for any key fields)"
            )
        return key_step(tuple(found))

    def _default_of(self, name: str) -> Any:
        if self._key_defaults is None:
            definition = self.element._definition
            self._key_defaults = _defaults_of(definition, self.keys) if definition else {}
        return self._key_defaults.get(name)


# What is declared nowhere.
FREE = Shape(ANY)


@cache
def shape_of(api_version: str, kind: str) -> Shape:
    """Return the shape of a kind; one that is unknown is free-form."""
    definition = schema.definition_of(api_version, kind)
    return Shape(MAP, definition=definition) if definition else FREE


def _set_step(item: Any) -> str:
    if isinstance(item, dict):
        raise ListKeyError("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise ListKeyError("not supported: associative list with lists as elements")
    if item is None:
        raise ListKeyError("associative list without keys has an element that's an explicit null")
    return value_step(item)


def _defaults_of(definition: Definition, keys: Sequence[str]) -> dict[str, Any]:
    found = {}
    for name in keys:
        field = definition.fields.get(name)
        known = (definition.name, name)
        if known in _KEY_DEFAULTS:
            found[name] = _KEY_DEFAULTS[known]
        elif field is not None and field.required:
            found[name] = _ZEROS[field.code]
    return found


def _of_field(field: Field) -> Shape:
    if field.code == schema.LIST:
        merges = field.list_type in ("map", "set")
        keys = field.map_keys if field.list_type == "map" else ()
        return Shape(LIST, is_atomic=not merges, keys=keys, element=field.type.element)
    if field.map_type:
        return _of_type(field.type, is_atomic=field.map_type == "atomic")
    return _shared(field.type.target) if field.code == schema.OBJECT else _of_type(field.type)


def _of_type(type_: Type, *, is_atomic: bool | None = None) -> Shape:
    if type_.code == schema.OBJECT:
        if is_atomic is None:
            return _shared(type_.target)
        return Shape(MAP, is_atomic=is_atomic, definition=type_.definition)
    if type_.code == schema.LIST:
        return Shape(LIST, is_atomic=True, element=type_.element)
    if type_.code == schema.MAP:
        return Shape(MAP, is_atomic=bool(is_atomic), element=type_.element)
    if type_.code == schema.ANY:
        return Shape(ANY, is_atomic=type_.target == _RAW_EXTENSION)
    return Shape(SCALAR, scalar=_SCALARS.get(type_.code, "untyped"))


@cache
def _shared(name: str) -> Shape:
    definition = schema.definition(name)
    return Shape(MAP, is_atomic=definition.is_atomic, definition=definition)
