"""A custom object out of parsed JSON: its metadata canonical, the rest pruned by its schema."""

from __future__ import annotations

from typing import Any

from kubeberth.api.custom.structural import Structural, prune
from kubeberth.api.fields import Walk
from kubeberth.api.json_syntax import NumberText
from kubeberth.api.schema import Definition

# All that custom objects have in common with the built-in ones.
_METADATA = Definition(
    "",
    {
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
        }
    },
)
# Up to here Go prints whole floats without an exponent.
_WHOLE = 1e21


def read_object(walk: Walk, value: dict[str, Any], schema: Structural) -> dict[str, Any]:
    """Return a custom object; what its schema does not have is noted in the walk, and gone.

    Raises
    ------
    FieldTypeError
        Some part of its metadata has the wrong type.
    """
    common = {name: value[name] for name in _METADATA.fields if name in value}
    head = walk.object(common, _METADATA)
    rest = {name: item for name, item in value.items() if name not in common}
    document = {**head, **_plain(rest, walk)}
    prune(document, schema, walk.unknown)
    return document


def _plain(value: Any, walk: Walk) -> Any:
    """Return a copy with the numbers that Go would read; count the keys."""
    if isinstance(value, dict):
        walk.n_keys += len(value)
        return {name: _plain(item, walk) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, walk) for item in value]
    if isinstance(value, NumberText | float):
        number = float(value)
        return int(number) if number.is_integer() and abs(number) < _WHOLE else number
    return value
