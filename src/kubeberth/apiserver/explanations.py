"""What OpenAPI documents say about fields, and `kubectl explain` shows: our own words.

As much as matters to where pods go (see `kubeberth/api/data/explanations.yaml`); the rest of the
documents has types and no prose.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any

from kubeberth.api.yaml import parse

_PLACES = {"meta": "io.k8s.apimachinery.pkg.apis.meta"}


@cache
def explanations() -> dict[str, dict[str, str]]:
    """Return the texts by definition and field; that about a definition itself by the empty one."""
    raw = pkgutil.get_data("kubeberth.api", "data/explanations.yaml")
    assert raw is not None
    return {_definition(name): texts for name, texts in parse(raw).items()}


def _definition(name: str) -> str:
    """Return the full name of `core.v1.Pod`."""
    group, _, rest = name.partition(".")
    return f"{_PLACES.get(group, f'io.k8s.api.{group}')}.{rest}"


def with_explanations(name: str, published: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a definition with what there is to say about it."""
    texts = explanations().get(name)
    if texts is None:
        return published
    properties = {
        field: _explained(schema, texts[field]) if field in texts else schema
        for field, schema in published.get("properties", {}).items()
    }
    about = {"description": texts[""]} if "" in texts else {}
    return {**published, **about, **({"properties": properties} if properties else {})}


def _explained(schema: dict[str, Any], text: str) -> dict[str, Any]:
    # Beside a reference nothing else counts.
    body = {"allOf": [schema]} if "$ref" in schema else schema
    return {"description": text, **body}
