"""Manifests: the objects in YAML and JSON files, each with the file and line that it came from."""

from __future__ import annotations

from collections.abc import Iterator
from glob import glob, has_magic
from os import PathLike
from pathlib import Path
from typing import Protocol

from kubeberth.errors import ManifestError
from kubeberth.library.parsing import Manifest, objects_of

__all__ = [
    "MAX_BYTES",
    "Manifest",
    "Source",
    "Stream",
    "expanded",
    "files_of",
    "objects_of",
    "read_manifests",
    "read_texts",
]

_SUFFIXES = (".yaml", ".yml", ".json")
_STREAM = "<stream>"


class Stream(Protocol):
    """Anything that can be read, such as an open file or `sys.stdin`."""

    def read(self, size: int = -1, /) -> str | bytes:
        """Return the rest of it, or so much of that."""


# A file of manifests is read by people; one that is larger than this was given by mistake.
MAX_BYTES = 32 * 1024 * 1024

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


def read_texts(source: Source, max_bytes: int | None = None) -> Iterator[tuple[str, str | bytes]]:
    """Yield the name and the text of every file of a source.

    Parameters
    ----------
    max_bytes
        How large each may be, and how much of a larger one is read to see that it is; None takes
        any.

    Raises
    ------
    ManifestError
        When one is larger.
    OSError
        When a file cannot be read.
    """
    if not isinstance(source, str | PathLike):
        name = str(getattr(source, "name", _STREAM))
        yield name, _read(source, name, max_bytes)
        return
    for path in files_of(Path(source)):
        with path.open("rb") as file:
            yield str(path), _read(file, str(path), max_bytes)


def _read(stream: Stream, name: str, max_bytes: int | None) -> str | bytes:
    if max_bytes is None:
        return stream.read()
    text = stream.read(max_bytes + 1)
    if len(text) > max_bytes:
        raise ManifestError(f"{name}: more than {max_bytes // 1024**2} MiB are no manifest")
    return text


def expanded(source: Source) -> list[Source]:
    """Return what a pattern such as `deploy/**/*.yaml` stands for; anything else as it is.

    Raises
    ------
    ManifestError
        No file is called so.
    """
    if not isinstance(source, str | PathLike) or not has_magic(str(source)):
        return [source]
    if Path(source).exists():
        return [source]
    found: list[Source] = [*sorted(glob(str(source), recursive=True))]
    if not found:
        raise ManifestError(f"{source}: no file matches")
    return found


def files_of(path: Path) -> list[Path]:
    """Return a file, or those of a folder that kubectl would read."""
    if not path.is_dir():
        return [path]
    return sorted(entry for entry in path.iterdir() if entry.suffix in _SUFFIXES)
