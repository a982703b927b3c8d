"""How ownership sees custom objects: the shapes of a structural schema."""

from __future__ import annotations

from typing import Any

from kubeberth.api.custom.structural import ABSENT, TYPE_AND_METADATA, Structural
from kubeberth.apiserver.managed_fields.shape import ANY, FREE, LIST, MAP, SCALAR, Shape, shape_of

_SCALARS = {
    "string": "string",
    "boolean": "boolean",
    "integer": "numeric",
    "number": "numeric",
}
# Any kind will do: they all have the same metadata.
_HEAD = shape_of("v1", "ConfigMap")


class CustomShape(Shape):
    """One type of a structural schema.

    Parameters
    ----------
    is_object
        Whether it is a whole object, with metadata of its own.
    """

    __slots__ = ("_is_object", "_node")

    def __init__(self, node: Structural, *, is_object: bool = False) -> None:
        raw = node.raw
        code, scalar, is_atomic = ANY, "untyped", False
        match raw.get("type"):
            case "object":
                code, is_atomic = MAP, raw.get("x-kubernetes-map-type") == "atomic"
            case "array":
                code, is_atomic = LIST, raw.get("x-kubernetes-list-type") not in ("set", "map")
            case "string" | "boolean" | "integer" | "number" as kind:
                code, scalar = SCALAR, _SCALARS[kind]
            case _ if raw.get("x-kubernetes-int-or-string"):
                code = SCALAR
        keys = raw.get("x-kubernetes-list-map-keys") or ()
        super().__init__(code, scalar=scalar, is_atomic=is_atomic, keys=keys)
        self.is_open = node.values is not None or node.keeps_unknown
        self._node = node
        self._is_object = is_object or node.is_embedded

    @property
    def element(self) -> Shape:
        """The shape of the elements of a list, or of the undeclared values of a map."""
        if self._element is None:
            below = self._node.items if self.code == LIST else self._node.values
            self._element = CustomShape(below) if below is not None else FREE
        return self._element

    def declares(self, name: str) -> bool:
        """Return whether a map has a field of that name by its schema."""
        is_head = self._is_object and name in TYPE_AND_METADATA
        return is_head or name in self._node.properties

    def child(self, name: str) -> Shape:
        """Return the shape of a map's value."""
        if self._is_object and name in TYPE_AND_METADATA:
            return _HEAD.child(name)
        found = self._children.get(name)
        if found is None:
            node = self._node.properties.get(name)
            if node is None:
                return self.element
            found = self._children[name] = CustomShape(node)
        return found

    def _default_of(self, name: str) -> Any:
        items = self._node.items
        known = items.properties.get(name) if items is not None else None
        return None if known is None or known.default is ABSENT else known.default
