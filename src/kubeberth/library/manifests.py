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
        for name, text in read_texts(source):
            yield from objects_of(text, name)


def read_texts(source: Source) -> Iterator[tuple[str, str | bytes]]:
    """Yield the name and the text of every file of a source.

    Raises
    ------
    OSError
        When a file cannot be read.
    """
    if not isinstance(source, str | PathLike):
        yield str(getattr(source, "name", _STREAM)), source.read()
        return
    for path in _files(Path(source)):
        yield str(path), path.read_bytes()


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(entry for entry in path.iterdir() if entry.suffix in _SUFFIXES)


def objects_of(text: str | bytes, name: str) -> Iterator[Manifest]:
    """Yield every object of a text; see `read_manifests`."""
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
        # Some of libyaml's own errors are several lines.
        raise ManifestError(f"{name}: {' '.join(str(error).split())}") from error


def _unroll(document: Any, source: str, path: tuple[str | int, ...] = ()) -> Iterator[Manifest]:
    if document is None:
        return
    if not isinstance(document, dict):
        raise ManifestError(f"{source}: an object must be a mapping, such as `kind: Pod`")
    kind, items = document.get("kind"), document.get("items")
    if not isinstance(kind, str) or not kind.endswith("List") or not isinstance(items, list):
        yield Manifest(document, source, path)
        return
    implied = {}
    if kind != "List":
        # Items of a typed list leave out what the list says.
        implied = {"apiVersion": document.get("apiVersion"), "kind": kind.removesuffix("List")}
    for index, item in enumerate(items):
        whole = implied | item if isinstance(item, dict) else item
        yield from _unroll(whole, source, (*path, "items", index))
