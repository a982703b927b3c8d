"""What the API server knows about the fields of every kind, in one table.

From `data/schema.json.gz`, which `scripts/extract-schema` makes. Decoding, pruning, strict errors
and merge keys are all read off this table, so that they cannot disagree. Definitions are compiled
when first asked for: a process that only ever sees pods never looks at the other seven hundred.
"""

from __future__ import annotations

import pkgutil
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

import msgspec

from kubeberth.api import messages

# Type codes. Plain numbers, because the decoder compares them for every field of every body.
STRING: Final = 0
BOOL: Final = 1
INT32: Final = 2
INT64: Final = 3
DOUBLE: Final = 4
BYTES: Final = 5
TIME: Final = 6
MICRO_TIME: Final = 7
QUANTITY: Final = 8
INT_OR_STRING: Final = 9
OBJECT: Final = 10
LIST: Final = 11
MAP: Final = 12
ANY: Final = 13

_SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": QUANTITY,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": INT_OR_STRING,
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": TIME,
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": MICRO_TIME,
}
_SCALARS = {
    ("string", ""): STRING,
    ("string", "byte"): BYTES,
    ("string", "date-time"): TIME,
    ("boolean", ""): BOOL,
    ("integer", "int32"): INT32,
    ("integer", "int64"): INT64,
    ("integer", ""): INT64,
    ("number", "double"): DOUBLE,
    ("number", ""): DOUBLE,
}
_PLAIN: dict[int, type] = {STRING: str, BYTES: str, BOOL: bool}
_GO_SCALARS = {
    STRING: "string",
    BOOL: "bool",
    INT32: "int32",
    INT64: "int64",
    DOUBLE: "float64",
    BYTES: "[]uint8",
    TIME: "v1.Time",
    MICRO_TIME: "v1.MicroTime",
    QUANTITY: "resource.Quantity",
    INT_OR_STRING: "intstr.IntOrString",
    ANY: "interface {}",
}
# Optional in the definitions, but their Go fields lack `omitempty`, so they are printed when empty.
_PRINTED_WHEN_EMPTY = frozenset(
    {
        ("io.k8s.api.core.v1.Event", "reportingComponent"),
        ("io.k8s.api.core.v1.Event", "reportingInstance"),
        ("io.k8s.api.core.v1.ContainerImage", "names"),
        ("io.k8s.api.scheduling.v1.PriorityClass", "value"),
        ("io.k8s.api.apps.v1.StatefulSetSpec", "serviceName"),
        ("io.k8s.api.apps.v1.StatefulSetStatus", "availableReplicas"),
        ("io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerStatus", "currentMetrics"),
        ("io.k8s.api.policy.v1.PodDisruptionBudgetStatus", "disruptionsAllowed"),
        ("io.k8s.api.policy.v1.PodDisruptionBudgetStatus", "currentHealthy"),
        ("io.k8s.api.policy.v1.PodDisruptionBudgetStatus", "desiredHealthy"),
        ("io.k8s.api.policy.v1.PodDisruptionBudgetStatus", "expectedPods"),
        ("io.k8s.api.storage.v1.CSINodeDriver", "topologyKeys"),
    }
)
# Tagged `omitzero`: the one time that is left out instead of printed as null.
_OMITTED_TIMES = frozenset(
    {("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "creationTimestamp")}
)


@dataclass(slots=True)
class Type:
    """The type of a field, or of the elements of a list or map.

    Parameters
    ----------
    target
        Name of the definition, for OBJECT and for what the schemas leave open.
    element
        Type of the elements, for LIST and MAP.
    """

    code: int
    target: str = ""
    element: Type | None = None
    _definition: Definition | None = None

    @property
    def definition(self) -> Definition:
        """The definition of an OBJECT; found when first asked for, as definitions may be cyclic."""
        if self._definition is None:
            self._definition = definition(self.target)
        return self._definition

    @property
    def go_type(self) -> str:
        """How Go's decoder calls it in its complaints."""
        if self.code == OBJECT:
            return self.definition.go_type
        if self.element is None:
            return _GO_SCALARS[self.code]
        if self.code == LIST:
            return f"[]{self.element.go_type}"
        if self.element.code == QUANTITY:
            return "v1.ResourceList"
        return f"map[string]{self.element.go_type}"


class Field:
    """One field of a definition.

    Attributes
    ----------
    plain
        The Python type whose values are canonical as they come; None where they have to be read.
    omit_zero
        A zero value (empty text, 0, false, empty list or map) is left out of documents.
    zero
        Makes the value that is printed when the field is absent; None when absent stays absent.
    merge_key
        Key by which a strategic merge patch matches list elements; empty for lists of scalars.
    merges
        Whether a strategic merge patch merges the list instead of replacing it.
    retains_keys, replaces
        The field's patch strategies `retainKeys` and `replace`.
    list_type, map_keys
        How server-side apply sees the list: atomic, set or map, and the keys of a map.
    map_type
        How it sees the object, where that is said of the field itself: atomic or granular.
    """

    __slots__ = (
        "code",
        "list_type",
        "map_keys",
        "map_type",
        "merge_key",
        "merges",
        "name",
        "omit_zero",
        "plain",
        "replaces",
        "required",
        "retains_keys",
        "type",
        "zero",
    )

    def __init__(self, owner: str, name: str, schema: dict[str, Any], required: bool) -> None:
        strategies = schema.get("x-kubernetes-patch-strategy", "").split(",")
        self.name = name
        self.type = _type_of(schema)
        self.code = self.type.code
        self.plain = _PLAIN.get(self.code)
        self.required = required
        self.merges = "merge" in strategies
        self.retains_keys = "retainKeys" in strategies
        self.replaces = "replace" in strategies
        self.merge_key: str = schema.get("x-kubernetes-patch-merge-key", "")
        self.list_type: str = schema.get("x-kubernetes-list-type", "")
        self.map_keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys", ()))
        self.map_type: str = schema.get("x-kubernetes-map-type", "")

        pointer = _is_pointer(owner, name)
        printed = required or (owner, name) in _PRINTED_WHEN_EMPTY
        # Go leaves out the zero value of what is optional, unless a pointer tells zero from absent.
        self.omit_zero = not printed and (self.code in (LIST, MAP) or pointer is False)
        self.zero: Callable[[], Any] | None = None
        if pointer is False and (owner, name) not in _OMITTED_TIMES:
            self.zero = _zero_of(self.type, printed)


class Definition:
    """The fields of one Kubernetes type.

    Attributes
    ----------
    always
        Fields that are always printed, each with the maker of its zero value.
    """

    __slots__ = ("always", "fields", "go_name", "go_type", "is_atomic", "name")

    def __init__(self, name: str, schema: dict[str, Any]) -> None:
        self.name = name
        self.go_name = name.rpartition(".")[2]
        self.go_type = ".".join(name.split(".")[-2:])
        self.is_atomic = schema.get("x-kubernetes-map-type") == "atomic"
        required = frozenset(schema.get("required", ()))
        self.fields = {
            field: Field(name, field, properties, field in required)
            for field, properties in schema["properties"].items()
        }
        self.always = tuple(
            (field.name, field.zero) for field in self.fields.values() if field.zero
        )

    def empty(self) -> dict[str, Any]:
        """Return what Go prints for a zero value of this type."""
        return {field: zero() for field, zero in self.always}


class _File(msgspec.Struct):
    """The data file; definitions stay undecoded until somebody asks for them."""

    kinds: list[tuple[str, str, str]]
    definitions: dict[str, msgspec.Raw]


class _Table:
    """The loaded data file."""

    @cached_property
    def _file(self) -> _File:
        packed = pkgutil.get_data("kubeberth.api", "data/schema.json.gz")
        if packed is None:
            raise FileNotFoundError("kubeberth/api/data/schema.json.gz")
        return msgspec.json.decode(zlib.decompress(packed, 31), type=_File)

    @cached_property
    def kinds(self) -> dict[tuple[str, str], str]:
        """Name of the definition by apiVersion and kind."""
        return {(api_version, kind): name for api_version, kind, name in self._file.kinds}

    def schema(self, name: str) -> dict[str, Any]:
        """Return a definition as it was published."""
        decoded: dict[str, Any] = msgspec.json.decode(self._file.definitions[name])
        return decoded

    def names(self) -> Iterator[str]:
        """Yield the names of all definitions."""
        return iter(self._file.definitions)


_table = _Table()


def published_schemas() -> dict[str, dict[str, Any]]:
    """Return every definition as it was published, by its full name."""
    return {name: _table.schema(name) for name in _table.names()}


@cache
def definition(name: str) -> Definition:
    """Return a definition by its full name, such as `io.k8s.api.core.v1.PodSpec`."""
    return Definition(name, _table.schema(name))


@cache
def definition_of(api_version: str, kind: str) -> Definition | None:
    """Return the definition of a kind, or None when there is no such kind."""
    name = _table.kinds.get((api_version, kind))
    return definition(name) if name else None


def has_kind(api_version: str, kind: str) -> bool:
    """Tell whether Kubernetes has that kind, served here or not."""
    return (api_version, kind) in _table.kinds


def has_version(api_version: str) -> bool:
    """Tell whether Kubernetes has any kind in that group and version."""
    return any(known == api_version for known, _ in _table.kinds)


def _type_of(schema: dict[str, Any]) -> Type:
    """Return the type that a schema describes."""
    if isinstance(name := schema.get("$ref"), str):
        if name in _SPECIAL:
            return Type(_SPECIAL[name])
        target = _table.schema(name)
        if "properties" in target:
            return Type(OBJECT, name)
        type_ = _type_of(target)
        return Type(ANY, name) if type_.code == ANY else type_
    kind = schema.get("type", "")
    if kind == "array":
        return Type(LIST, element=_type_of(schema["items"]))
    if kind == "object":
        values = schema.get("additionalProperties")
        return Type(MAP, element=_type_of(values)) if isinstance(values, dict) else Type(ANY)
    return Type(_SCALARS.get((kind, schema.get("format", "")), ANY))


def _is_pointer(owner: str, field: str) -> bool | None:
    """Tell whether Go holds the field by pointer; None when nothing is known of it."""
    package, _, short = owner.removeprefix("io.k8s.api.").rpartition(".")
    package = package.removeprefix("io.k8s.apimachinery.pkg.")
    package = package.removeprefix("io.k8s.apiextensions-apiserver.pkg.apis.")
    known = messages.pointers(f"{package}.{short}")
    return known.get(field) if known is not None else None


def _zero_of(type_: Type, printed: bool) -> Callable[[], Any] | None:
    """Return the maker of what Go prints for an absent field that is not a pointer.

    `omitempty` does nothing for structs, so these are always printed: objects, times and
    quantities. Lists and maps without it are printed as null.
    """
    match type_.code:
        case code if code == OBJECT:
            return type_.definition.empty
        case code if code in (TIME, MICRO_TIME):
            return lambda: None
        case code if code == QUANTITY:
            return lambda: "0"
        case code if code == INT_OR_STRING:
            return lambda: 0
    if not printed or type_.code == ANY:
        return None
    values: dict[int, Any] = {STRING: "", BOOL: False, INT32: 0, INT64: 0, DOUBLE: 0}
    value = values.get(type_.code)
    return lambda: value
