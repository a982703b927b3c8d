"""Specs that were decoded before: pods of one template have the same bytes for a spec.

A spec is remembered in canonical form when it is seen for the second time, and only if nothing was
to be said about it. What is handed out is always a new document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from kubeberth.api import schema
from kubeberth.api.fields import Walk
from kubeberth.api.json_syntax import parse_json

# Templates in use at one time; a large cluster has some thousand workloads.
REMEMBERED = 4096
# Larger ones would take more memory than decoding them takes time.
MAX_BYTES = 64 * 1024

_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

Key = tuple[str, str, bytes]


@dataclass(frozen=True, slots=True)
class KnownSpec:
    """A spec in canonical form, and how many keys its text had."""

    canonical: bytes
    n_keys: int

    def document(self) -> Any:
        """Return the spec, to be changed at will."""
        return _decode(self.canonical)


class Body:
    """The text of an object, its spec apart.

    Parameters
    ----------
    key
        What the spec is known by; None when there is none, or none that is worth it.
    """

    __slots__ = ("_parts", "key", "names")

    def __init__(self, text: bytes, api_version: str, kind: str) -> None:
        self.key: Key | None = None
        if b'"spec"' not in text:
            return
        try:
            self._parts = _split(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # no object, or no JSON: whoever parses it will say so
        self.names = tuple(self._parts)
        spec = self._parts.get("spec")
        if spec is not None and len(spec) <= MAX_BYTES:
            self.key = (api_version, kind, bytes(spec))

    def rest(self) -> dict[str, Any]:
        """Return the parsed value without the spec."""
        return {name: parse_json(bytes(raw)) for name, raw in self._parts.items() if name != "spec"}


class KnownSpecs:
    """Remembers specs by their bytes."""

    def __init__(self) -> None:
        self._known: dict[Key, KnownSpec] = {}
        self._seen: set[int] = set()

    def find(self, body: Body) -> KnownSpec | None:
        """Return the spec of a body, if it is remembered."""
        return self._known.get(body.key) if body.key is not None else None

    def note(self, body: Body) -> None:
        """Remember the spec of a body in which nothing was wrong, when it comes again."""
        if body.key is None:
            return
        seen = hash(body.key)
        if seen not in self._seen:
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            self._seen.add(seen)
            return
        api_version, kind, text = body.key
        definition = schema.definition_of(api_version, kind)
        field = definition.fields.get("spec") if definition is not None else None
        value = parse_json(text)
        if field is None or field.code != schema.OBJECT or not isinstance(value, dict):
            return
        walk = Walk()
        canonical = _encode(walk.object(value, field.type.definition))
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[body.key] = KnownSpec(canonical, walk.n_keys + 1)
