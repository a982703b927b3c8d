"""Manifests: the objects in YAML and JSON files, each with the file and line that it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from kubeberth.api import yaml
from kubeberth.api.json_syntax import JSONSyntaxError, parse_json
from kubeberth.errors import ManifestError

_SUFFIXES = (".yaml", ".yml", ".json")
_STREAM = "<stream>"


class Stream(Protocol):
    """Anything that can be read, such as an open file or `sys.stdin`."""

    def read(self) -> str | bytes:
        """Return the rest of it."""


Source = str | PathLike[str] | Stream
"""A file, a folder of files, or a stream."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object as it was written.

    Parameters
    ----------
    source
        `file:line` of the document that it is in.
    """

    document: dict[str, Any]
    source: str


def read_manifests(*sources: Source) -> Iterator[Manifest]:
    """Yield every object; a list, such as `kubectl get -o yaml` prints, counts as its items.

    Of a folder, the files that kubectl would read are read: `.yaml`, `.yml` and `.json`, by name,
    without those in folders below.

    Raises
    ------
    ManifestError
        When a text is neither YAML nor JSON, or holds something that is no object.
    OSError
        When a file cannot be read.
    """
    for source in sources:
        if not isinstance(source, str | PathLike):
            text = source.read()
            yield from _objects(text, str(getattr(source, "name", _STREAM)))
            continue
        for path in _files(Path(source)):
            yield from _objects(path.read_bytes(), str(path))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(entry for entry in path.iterdir() if entry.suffix in _SUFFIXES)


def _objects(text: str | bytes, name: str) -> Iterator[Manifest]:
    for line, document in _documents(text, name):
        yield from _unroll(document, f"{name}:{line}")


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
    repeated: list[str] = []
    try:
        for numbered in yaml.numbered_documents(raw, repeated=repeated):
            if repeated:
                raise ManifestError(f"{name}: {repeated[0]}")
            yield numbered
    except yaml.YAMLError as error:
        raise ManifestError(f"{name}: {error}") from error


def _unroll(document: Any, source: str) -> Iterator[Manifest]:
    if document is None:
        return
    if not isinstance(document, dict):
        raise ManifestError(f"{source}: an object must be a mapping, such as `kind: Pod`")
    kind, items = document.get("kind"), document.get("items")
    if not isinstance(kind, str) or not kind.endswith("List") or not isinstance(items, list):
        yield Manifest(document, source)
        return
    implied = {}
    if kind != "List":
        # Items of a typed list leave out what the list says.
        implied = {"apiVersion": document.get("apiVersion"), "kind": kind.removesuffix("List")}
    for item in items:
        yield from _unroll(implied | item if isinstance(item, dict) else item, source)
