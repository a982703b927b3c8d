"""Parts of bodies that were decoded before, and need not be looked at again.

Pods of one template have the same bytes for a spec: one is remembered in canonical form when it is
seen for the second time, and only if nothing was to be said about it. And who replaces an object
mostly sends back what is stored of it: that is canonical already. What is handed out is always a
new document.
"""

from __future__ import annotations

from collections.abc import Mapping
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

# Parts that are looked at in any case: the head is short, and metadata name another version.
_LOOKED_AT = frozenset(("apiVersion", "kind", "metadata"))
_OWNERS = "managedFields"

Key = tuple[str, str, bytes]
# Parts that need not be read again, in canonical form.
Known = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that is to be replaced, in canonical form, and in the version of the body.

    Parameters
    ----------
    parts
        The texts of the members of the object.
    owners
        The text of `metadata.managedFields`; empty when there are none.
    """

    parts: Mapping[str, msgspec.Raw]
    owners: bytes = b""


def n_keys(text: bytes) -> int:
    """Return the number of keys in a JSON text, to be compared with those that were kept.

    Within strings a quote is escaped, so a bare `":` ends a key. Unusual white space or a key that
    ends in a backslash gives a wrong number, and then the slow search decides.
    """
    n = text.count(b'":') + text.count(b'" :')
    # Hardly any text has a backslash, and to look for one byte takes next to no time.
    return n - text.count(b'\\":') - text.count(b'\\" :') if b"\\" in text else n


def _is_compact(text: bytes, parts: Mapping[str, msgspec.Raw]) -> bool:
    """Return whether an object's text has nothing but its members, each once and without spaces."""
    # Braces, and of each member its name in quotes, colon and comma; the last has no comma.
    return len(text) == 1 + sum(len(name) + len(raw) + 4 for name, raw in parts.items())


class Body:
    """The text of an object, its spec apart.

    Parameters
    ----------
    key
        What the spec is known by; None when there is none, or none that is worth it.
    """

    __slots__ = ("_is_compact", "_parts", "_text", "key", "names")

    def __init__(self, text: bytes, api_version: str, kind: str) -> None:
        self.key: Key | None = None
        if b'"spec"' not in text:
            return
        try:
            self._parts = _split(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return  # no object, or no JSON: whoever parses it will say so
        self._text = text
        self._is_compact = _is_compact(text, self._parts)
        self.names = tuple(self._parts)
        spec = self._parts.get("spec")
        if spec is not None and len(spec) <= MAX_BYTES:
            self.key = (api_version, kind, bytes(spec))

    def rest(self, known: Known) -> dict[str, Any]:
        """Return the parsed value without the parts that are known."""
        return {
            name: parse_json(bytes(raw)) for name, raw in self._parts.items() if name not in known
        }

    def n_keys(self, known: Known) -> int:
        """Return how many keys there are, those that come twice included, but none in known parts.

        What is known has no key twice, and the names of its parts count.
        """
        if self._is_compact:
            rest = (n_keys(bytes(raw)) for name, raw in self._parts.items() if name not in known)
            return len(self._parts) + sum(rest)
        return n_keys(self._text) - sum(n_keys(bytes(self._parts[name])) for name in known)

    def as_stored(self, stored: Stored) -> Known:
        """Return the parts that are what they are in a stored object."""
        if self.key is None:
            return {}
        found = {}
        for name, raw in stored.parts.items():
            if name not in _LOOKED_AT and name in self._parts:
                canonical = bytes(raw)
                if canonical == bytes(self._parts[name]):
                    found[name] = canonical
        self._drop_owners(stored.owners)
        return found

    def _drop_owners(self, owners: bytes) -> None:
        """Leave out who owns the fields, if that is what is stored."""
        if not self._is_compact or not owners or "metadata" not in self._parts:
            return
        text = bytes(self._parts["metadata"])
        if owners not in text:
            return
        metadata = _split(text)
        if bytes(metadata.get(_OWNERS, b"")) == owners and _is_compact(text, metadata):
            del metadata[_OWNERS]
            self._parts["metadata"] = msgspec.Raw(_encode(metadata))


class KnownSpecs:
    """Remembers specs by their bytes."""

    def __init__(self) -> None:
        self._known: dict[Key, bytes] = {}
        self._seen: set[int] = set()

    def find(self, body: Body) -> bytes | None:
        """Return the canonical spec of a body, if it is remembered."""
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
        canonical = _encode(Walk().object(value, field.type.definition))
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[body.key] = canonical
