"""A structural schema, compiled: what is known of each field of a custom object.

Rule: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
Pruning and defaulting match `k8s.io/apiextensions-apiserver/pkg/apiserver/schema` of Kubernetes
1.36; what a value must be like is `values.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

ABSENT: Final = object()
# What every object has, whether its schema says so or not.
TYPE_AND_METADATA: Final = frozenset(("apiVersion", "kind", "metadata"))


class Structural:
    """One node of a schema.

    Attributes
    ----------
    raw
        The node as the definition has it.
    properties
        The fields that are specified.
    values
        What all fields of a map are like; None when it says nothing.
    default
        The default, or ABSENT.
    has_defaults, has_rules
        Whether there is a default, or a validation rule, in it or below.
    """

    __slots__ = (
        "default",
        "has_defaults",
        "has_rules",
        "is_embedded",
        "is_nullable",
        "items",
        "keeps_unknown",
        "properties",
        "raw",
        "values",
    )

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.properties = {
            name: Structural(schema) for name, schema in (raw.get("properties") or {}).items()
        }
        values, items = raw.get("additionalProperties"), raw.get("items")
        self.values = Structural(values) if isinstance(values, dict) else None
        self.items = Structural(items) if isinstance(items, dict) else None
        self.keeps_unknown = bool(raw.get("x-kubernetes-preserve-unknown-fields")) or values is True
        self.is_embedded = bool(raw.get("x-kubernetes-embedded-resource"))
        self.is_nullable = bool(raw.get("nullable"))
        self.default = raw.get("default", ABSENT)
        below = [node for node in (*self.properties.values(), self.values, self.items) if node]
        self.has_defaults: bool = self.default is not ABSENT or any(n.has_defaults for n in below)
        self.has_rules: bool = bool(raw.get("x-kubernetes-validations")) or any(
            n.has_rules for n in below
        )

    def child(self, name: str) -> Structural | None:
        """Return what is known of a field, or None."""
        return self.properties.get(name, self.values)


EMPTY: Final = Structural({})


def prune(value: Any, node: Structural, unknown: list[str], path: str = "") -> None:
    """Take the fields out of a value that its schema does not have.

    Parameters
    ----------
    unknown
        Grows by the dotted paths of what was taken out.
    path
        Where the value is; empty for the object itself.
    """
    if isinstance(value, dict):
        is_object = not path or node.is_embedded
        for name in list(value):
            if is_object and name in TYPE_AND_METADATA:
                continue
            where = f"{path}.{name}" if path else name
            child = node.child(name)
            if child is not None:
                prune(value[name], child, unknown, where)
            elif not node.keeps_unknown:
                unknown.append(where)
                del value[name]
    elif isinstance(value, list):
        items = node.items
        if items is None:
            if node.keeps_unknown:
                return
            items = EMPTY
        for index, item in enumerate(value):
            prune(item, items, unknown, f"{path}[{index}]")


def set_defaults(value: Any, node: Structural) -> None:
    """Fill in what is absent and has a default; a null that may not be counts as absent."""
    if isinstance(value, dict):
        _drop_nulls(value, node)
        for name, child in node.properties.items():
            if name not in value and child.default is not ABSENT:
                value[name] = copy.deepcopy(child.default)
        for name, item in value.items():
            known = node.child(name)
            if known is not None:
                set_defaults(item, known)
    elif isinstance(value, list) and node.items is not None:
        for item in value:
            set_defaults(item, node.items)


def _drop_nulls(value: dict[str, Any], node: Structural) -> None:
    for name in [name for name, item in value.items() if item is None]:
        known = node.child(name)
        if known is not None and not known.is_nullable:
            del value[name]
