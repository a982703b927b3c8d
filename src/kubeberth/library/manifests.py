"""Manifests: the objects in YAML and JSON files, each with the file and line that it came from."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Protocol

from kubeberth.library.parsing import Manifest, objects_of

__all__ = ["Manifest", "Source", "Stream", "objects_of", "read_manifests", "read_texts"]

_SUFFIXES = (".yaml", ".yml", ".json")
_STREAM = "<stream>"


class Stream(Protocol):
    """Anything that can be read, such as an open file or `sys.stdin`."""

    def read(self, n: int = -1, /) -> str | bytes:
        """Return so much of it, or all the rest."""


Source = str | PathLike[str] | Stream
"""A file, a folder of files, or a stream."""


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
