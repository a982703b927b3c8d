"""Request bodies in, response bodies out: JSON, YAML and protobuf to canonical documents.

    body --parse--> JSON value --which kind?--> fields.Walk --> Decoded

A `Decoded` holds a plain dict in the form that is stored, and what a strict reader would object
to: fields the kind does not have, and fields that came twice. Whoever decodes decides whether that
is an error, a warning or nothing (`fieldValidation`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from kubeberth.api import protobuf, schema
from kubeberth.api.custom.reading import read_object
from kubeberth.api.custom.structural import Structural
from kubeberth.api.fields import FieldTypeError, Walk
from kubeberth.api.json_syntax import JSONSyntaxError, parse_json
from kubeberth.api.known_specs import Body, KnownSpecs, Stored, n_keys
from kubeberth.api.scheme import Resource
from kubeberth.errors import BadRequestError, UnsupportedMediaTypeError

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MEDIA_TYPES = (JSON, YAML, PROTOBUF)

_ENVELOPE = (
    r'struct { APIVersion string "json:\"apiVersion,omitempty\""; '
    r'Kind string "json:\"kind,omitempty\"" }'
)
# How much of a body an error quotes.
_QUOTED_BYTES = 30

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

_known_specs = KnownSpecs()


@dataclass(slots=True)
class Decoded:
    """A body in canonical form.

    Parameters
    ----------
    unknown_fields, duplicate_fields
        Dotted paths, in document order: `spec.containers[0].imagee`.
    repeated_keys
        What YAML's parser says of repeated keys: `line 11: key "image" already set in map`.
    """

    document: dict[str, Any]
    unknown_fields: list[str]
    duplicate_fields: list[str]
    repeated_keys: list[str]

    @property
    def warnings(self) -> list[str]:
        """What is wrong with the fields, one text each, as `Warning` headers say it."""
        if not (self.repeated_keys or self.unknown_fields or self.duplicate_fields):
            return []
        return [
            *self.repeated_keys,
            *(f'unknown field "{path}"' for path in self.unknown_fields),
            *(f'duplicate field "{path}"' for path in self.duplicate_fields),
        ]

    @property
    def strict_error(self) -> str:
        """What is wrong with the fields, as one text; empty when nothing is."""
        if not self.warnings:
            return ""
        keys = ["yaml: unmarshal errors:" + "".join(f"\n  {line}" for line in self.repeated_keys)]
        fields = self.warnings[len(self.repeated_keys) :]
        return "strict decoding error: " + ", ".join((keys if self.repeated_keys else []) + fields)


def decode(
    body: bytes,
    content_type: str,
    resource: Resource,
    subresource: str = "",
    strict_check: bool = True,
    stored: Stored | None = None,
) -> Decoded:
    """Return the object that a request body holds.

    Parameters
    ----------
    content_type
        The request's header; empty means JSON, as many clients leave it out.
    subresource
        The part of the object that is addressed, when its body has a kind of its own.
    strict_check
        Also look for duplicate keys. Unknown fields are found anyway.
    stored
        The object that the body is to replace. Parts that are the same need not be read again, and
        of who owns its fields the document then says nothing.

    Raises
    ------
    BadRequestError
        The body is malformed, of another kind, or some value has the wrong type.
    UnsupportedMediaTypeError
        The content type is none of `MEDIA_TYPES`.
    """
    kind = kind_of(resource, subresource)
    return decode_kind(
        body,
        content_type,
        *kind,
        strict_check,
        custom=_custom_schema(resource, kind),
        stored=stored,
    )


def _custom_schema(resource: Resource, kind: tuple[str, str]) -> Structural | None:
    """Return the schema of a body, if that is a custom object."""
    is_own = kind == (resource.api_version, resource.kind)
    return resource.custom.schema if resource.custom is not None and is_own else None


def kind_of(resource: Resource, subresource: str = "") -> tuple[str, str]:
    """Return apiVersion and kind of the bodies of a resource, or of a part of it."""
    sub = resource.subresource(subresource) if subresource else None
    if sub is None or not sub.kind:
        return resource.api_version, resource.kind
    if not sub.version:
        return resource.api_version, sub.kind
    return f"{sub.group}/{sub.version}" if sub.group else sub.version, sub.kind


def decode_kind(
    body: bytes,
    content_type: str,
    api_version: str,
    kind: str,
    strict_check: bool = True,
    any_version: bool = False,
    custom: Structural | None = None,
    stored: Stored | None = None,
) -> Decoded:
    """Return the object of a given kind that a body holds; see `decode`.

    Parameters
    ----------
    any_version
        The kind belongs to every group and version, as `DeleteOptions` does.
    custom
        The schema of the kind, if it is a custom one.
    """
    media_type = content_type.partition(";")[0].strip().lower() or JSON
    if media_type == JSON:
        return _decode_json(body, api_version, kind, strict_check, any_version, custom, stored)
    if media_type == YAML:
        return _decode_yaml(body, api_version, kind, strict_check, any_version, custom)
    if media_type == PROTOBUF and custom is None:
        value = _parse_protobuf(body, kind)
    else:
        raise unsupported_media_type(MEDIA_TYPES if custom is None else (JSON, YAML))

    walk = Walk()
    document = _walk(walk, value, body, api_version, kind, any_version, custom)
    return Decoded(document, walk.unknown, [], [])


def decode_document(
    document: dict[str, Any],
    resource: Resource,
    subresource: str = "",
    *,
    before: dict[str, Any] | None = None,
) -> Decoded:
    """Return a document in canonical form, such as a patch has left it.

    Parameters
    ----------
    before
        A canonical document. Parts at the top that are the very same ones are taken as they are:
        a patch of the status has no reason to read the spec again.
    """
    walk = Walk()
    kept = {name: part for name, part in (before or {}).items() if document.get(name) is part}
    for name in ("apiVersion", "kind"):
        kept.pop(name, None)
    changed = {name: part for name, part in document.items() if name not in kept}
    kind = kind_of(resource, subresource)
    canonical = _walk(walk, changed, b"", *kind, False, _custom_schema(resource, kind))
    return Decoded(canonical | kept, walk.unknown, [], [])


def decode_yaml(body: bytes | str, resource: Resource, strict_check: bool = True) -> Decoded:
    """Return the object that a YAML text holds; see `decode`."""
    raw = body.encode() if isinstance(body, str) else body
    kind = (resource.api_version, resource.kind)
    return _decode_yaml(raw, *kind, strict_check, False, _custom_schema(resource, kind))


def unsupported_media_type(accepted: tuple[str, ...]) -> UnsupportedMediaTypeError:
    """Return the error for a body in a format that is not read here."""
    return UnsupportedMediaTypeError(
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted)
    )


def duplicate_fields(body: bytes) -> list[str]:
    """Return the dotted paths of the keys that a JSON text has twice in one object."""
    once = _without_repeats(body)
    if once == body or n_keys(once) == n_keys(body):
        return []
    import json  # late: msgspec, which parses everything else, cannot show keys twice

    found: list[str] = []
    text = body.decode("utf-8", "replace")
    _find_duplicates(json.loads(text, object_pairs_hook=_Pairs, parse_int=str), "", found)
    return found


def _decode_yaml(
    body: bytes,
    api_version: str,
    kind: str,
    strict_check: bool,
    any_version: bool,
    custom: Structural | None,
) -> Decoded:
    from kubeberth.api import yaml  # late: few bodies are YAML, and its parser loads slowly

    repeated: list[str] = []
    try:
        value = yaml.parse(body, repeated=repeated if strict_check else None)
    except yaml.YAMLError as error:
        raise _unrecognized(kind, str(error), body) from error
    walk = Walk()
    document = _walk(walk, value, body, api_version, kind, any_version, custom)
    return Decoded(document, walk.unknown, [], repeated)


def _decode_json(
    body: bytes,
    api_version: str,
    kind: str,
    strict_check: bool,
    any_version: bool,
    custom: Structural | None,
    stored: Stored | None = None,
) -> Decoded:
    walk = Walk()
    parts = Body(body, api_version, kind)
    known = {} if custom is not None or stored is None else parts.as_stored(stored)
    if custom is None and "spec" not in known and (spec := _known_specs.find(parts)) is not None:
        known["spec"] = spec
    value = parts.rest(known) if known else _parse_json(body, kind)
    document = _walk(walk, value, body, api_version, kind, any_version, custom)
    n_found = parts.n_keys(known) if known else n_keys(body)
    if known:
        walk.n_keys += len(known)
        document |= {name: _decode(part) for name, part in known.items()}
        # In the order of the text, whether parts were known or not.
        document = {name: document[name] for name in parts.names if name in document} | document
    duplicates: list[str] = []
    if strict_check and (walk.unknown or n_found != walk.n_keys):
        duplicates = duplicate_fields(body)
    elif not known and custom is None and not walk.unknown:
        _known_specs.note(parts)
    return Decoded(document, walk.unknown, duplicates, [])


def _parse_json(body: bytes, kind: str) -> Any:
    try:
        return parse_json(body)
    except JSONSyntaxError as error:
        why = f"couldn't get version/kind; json parse error: {error}"
        raise _unrecognized(kind, why, body) from error


def _parse_protobuf(body: bytes, kind: str) -> Any:
    try:
        return protobuf.decode(body)
    except protobuf.ProtobufError as error:
        raise _unrecognized(kind, str(error), body) from error


def _walk(
    walk: Walk,
    value: Any,
    body: bytes,
    api_version: str,
    kind: str,
    any_version: bool,
    custom: Structural | None = None,
) -> dict[str, Any]:
    """Return the canonical document of a parsed body, of the expected kind and no other."""
    if value is None:
        value = {}
    if not isinstance(value, dict):
        name = _JSON_NAMES.get(type(value), "number")
        why = f"json: cannot unmarshal {name} into Go value of type {_ENVELOPE}"
        why = f"couldn't get version/kind; json parse error: {why}"
        raise _unrecognized(kind, why, body)
    found = (value.get("apiVersion") or api_version, value.get("kind") or kind)
    if custom is None:
        _check_kind(found, (api_version, kind), any_version, body)
    elif found[0] != api_version:  # its kind is a matter of validation
        raise BadRequestError(
            f"the API version in the data ({found[0]}) does not match the expected API version "
            f"({api_version})"
        )
    try:
        if custom is None:
            document = walk.object(value, _definition_of(api_version, kind))
        else:
            document = read_object(walk, value, custom)
    except FieldTypeError as error:
        raise _cannot_be_handled(found, kind, str(error)) from error
    document["apiVersion"], document["kind"] = found
    return document


def _definition_of(api_version: str, kind: str) -> schema.Definition:
    definition = schema.definition_of(api_version, kind)
    if definition is None:
        raise LookupError(f"no definition of {api_version} {kind}")
    return definition


def _check_kind(
    found: tuple[str, str], expected: tuple[str, str], any_version: bool, body: bytes
) -> None:
    """Raise BadRequestError unless the body says it is of the expected kind."""
    if found == expected:
        return
    api_version, kind = found
    for name, part in (("apiVersion", api_version), ("kind", kind)):
        if not isinstance(part, str):
            found_type = _JSON_NAMES.get(type(part), "number")
            why = (
                f"couldn't get version/kind; json parse error: json: cannot unmarshal {found_type} "
                f"into Go struct field .{name} of type string"
            )
            raise _unrecognized(expected[1], why, body)
    if any_version and kind == expected[1]:
        return
    if not schema.has_kind(api_version, kind):
        raise _cannot_be_handled(
            found,
            expected[1],
            f'no kind "{kind}" is registered for version "{api_version}" '
            'in scheme "pkg/api/legacyscheme/scheme.go:30"',
        )
    raise _cannot_be_handled(
        found,
        expected[1],
        f"converting ({_version(api_version)}.{kind}) to "
        f"({_package(expected[0])}.{expected[1]}): unknown conversion",
    )


def _cannot_be_handled(found: tuple[str, str], kind: str, why: str) -> BadRequestError:
    return BadRequestError(
        f'{found[1]} in version "{_version(found[0])}" cannot be handled as a {kind}: {why}'
    )


def _unrecognized(kind: str, why: str, body: bytes) -> BadRequestError:
    return BadRequestError(
        f"the object provided is unrecognized (must be of type {kind}): {why} ({_quoted(body)})"
    )


def _quoted(body: bytes) -> str:
    """Return the beginning of a body as an error shows it: JSON as it is, the rest in hex."""
    if not body:
        return "<empty>"
    head = body[:_QUOTED_BYTES]
    text = head.decode("utf-8", "replace") if body[:1] == b"{" else head.hex()
    return f"{text} ..." if len(body) > _QUOTED_BYTES else text


def _version(api_version: str) -> str:
    return api_version.rpartition("/")[2]


def _package(api_version: str) -> str:
    """Return the Go package of the internal types of a group."""
    group = api_version.rpartition("/")[0]
    return group.partition(".")[0] or "core"


_JSON_NAMES = {str: "string", bool: "bool", list: "array", dict: "object", type(None): "null"}


def _without_repeats(text: bytes) -> bytes:
    """Return a JSON text in which a later key has replaced an earlier one of its name."""
    try:
        return encode(_decode(text))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return b""  # such as a number that is too large: whoever asks has to look closer


class _Pairs(list[tuple[str, Any]]):
    """An object with all its keys."""


def _find_duplicates(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            here = f"{path}.{key}" if path else key
            if key in seen:
                found.append(here)
            seen.add(key)
            _find_duplicates(item, here, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _find_duplicates(item, f"{path}[{index}]", found)
