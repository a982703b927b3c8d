"""Parts of bodies that were decoded before, and need not be looked at again.

Pods of one template have the same bytes for a spec: one is remembered in canonical form when it is
seen for the second time, and only if nothing was to be said about it. And who replaces an object
mostly sends back what is stored of it: that is canonical already. What is handed out is always a
new document.
"""

from __future__ import annotations

from collections.abc import Collection
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

_HEAD = frozenset(("apiVersion", "kind"))

Key = tuple[str, str, bytes]


@dataclass(frozen=True, slots=True)
class KnownPart:
    """A part in canonical form, and how many keys its text had, its own among them."""

    canonical: bytes
    n_keys: int

    def document(self) -> Any:
        """Return the part, to be changed at will."""
        return _decode(self.canonical)


def n_keys(text: bytes) -> int:
    """Return the number of keys in a JSON text, to be compared with those that were kept.

    Within strings a quote is escaped, so a bare `":` ends a key. Unusual white space or a key that
    ends in a backslash gives a wrong number, and then the slow search decides.
    """
    n = text.count(b'":') + text.count(b'" :')
    # Hardly any text has a backslash, and to look for one byte takes next to no time.
    return n - text.count(b'\\":') - text.count(b'\\" :') if b"\\" in text else n


def _compact(text: bytes) -> bytes:
    """Return a JSON text as it would be stored."""
    try:
        return _encode(_decode(text))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return text  # whoever parses the body will say so


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

    def rest(self, known: Collection[str]) -> dict[str, Any]:
        """Return the parsed value without the parts that are known."""
        return {
            name: parse_json(bytes(raw)) for name, raw in self._parts.items() if name not in known
        }

    def as_stored(self, stored: bytes) -> dict[str, KnownPart]:
        """Return the parts that say, in the same order, what they say in a stored object."""
        if self.key is None or not stored:
            return {}
        found = {}
        for name, raw in _split(stored).items():
            if name in _HEAD or name not in self._parts:
                continue
            text, canonical = bytes(self._parts[name]), bytes(raw)
            if text == canonical or _compact(text) == canonical:
                found[name] = KnownPart(canonical, n_keys(canonical) + 1)
        return found


class KnownSpecs:
    """Remembers specs by their bytes."""

    def __init__(self) -> None:
        self._known: dict[Key, KnownPart] = {}
        self._seen: set[int] = set()

    def find(self, body: Body) -> KnownPart | None:
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
        self._known[body.key] = KnownPart(canonical, walk.n_keys + 1)
