"""The objects in a text of YAML or JSON, each with the line that it came from."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubeberth.api.json_syntax import JSONSyntaxError, parse_json
from kubeberth.errors import ManifestError

# What begins with one is text to YAML's parser, too.
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object as it was written.

    Parameters
    ----------
    source
        `file:line` of the document that it is in.
    path
        Where in the document it is: `("items", 2)` of a list.
    """

    document: dict[str, Any]
    source: str
    path: tuple[str | int, ...] = ()

    @property
    def line(self) -> int:
        """The line in which the document begins."""
        return int(self.source.rpartition(":")[2])


def objects_of(text: str | bytes, name: str) -> Iterator[Manifest]:
    """Yield every object; a list, such as `kubectl get -o yaml` prints, counts as its items.

    Raises
    ------
    ManifestError
        The text is neither YAML nor JSON, or holds something that is no object.
    """
    for line, document in _documents(text, name):
        yield from _unroll(document, f"{name}:{line}")


def decoded(content: bytes, name: str) -> str:
    """Return a text that is to be UTF-8.

    Raises
    ------
    ManifestError
        It is something else.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ManifestError(f"{name}: not UTF-8 text, from byte {error.start} on") from None


def _documents(text: str | bytes, name: str) -> Iterator[tuple[int, Any]]:
    raw = text.encode() if isinstance(text, str) else text
    if raw.lstrip()[:1] == b"{":
        # A dump of a large cluster; YAML's parser would take a hundred times as long.
        try:
            yield 1, parse_json(raw)
        except JSONSyntaxError:
            pass  # YAML in braces, or several objects in a row
        else:
            return
    if raw[:2] not in _UTF16_MARKS:
        decoded(raw, name)
    from kubeberth.api import yaml  # late: its parser loads slowly, and clusters are JSON

    repeated: list[str] = []
    try:
        for numbered in yaml.numbered_documents(raw, repeated=repeated):
            if repeated:
                raise ManifestError(f"{name}: {repeated[0]}")
            yield numbered
    except yaml.YAMLError as error:
        raise ManifestError(f"{name}: {error}") from error


def _unroll(document: Any, source: str, path: tuple[str | int, ...] = ()) -> Iterator[Manifest]:
    if document is None:
        return
    if not isinstance(document, dict):
        raise ManifestError(f"{source}: an object must be a mapping, such as `kind: Pod`")
    if not _is_list(document, source):
        yield Manifest(document, source, path)
        return
    kind, implied = document["kind"], {}
    if kind != "List":
        # Items of a typed list leave out what the list says.
        implied = {"apiVersion": document.get("apiVersion"), "kind": kind.removesuffix("List")}
    for index, item in enumerate(document.get("items") or ()):
        whole = implied | item if isinstance(item, dict) else item
        yield from _unroll(whole, source, (*path, "items", index))


def _is_list(document: dict[str, Any], source: str) -> bool:
    """Return whether an object is a list; what is only called so may be of the user's own."""
    kind, items = document.get("kind"), document.get("items")
    if kind == "List" and not isinstance(items, list | None):
        raise ManifestError(f"{source}: the items of a List must be a list")
    if not isinstance(kind, str) or not kind.endswith("List"):
        return False
    return isinstance(items, list) or (items is None and (kind == "List" or "items" in document))
