"""The images that a node has. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache

from kubeberth.kubelet.references import ImageReferenceError, full_reference


class Images:
    """The images of one node: those it is described with, and those that its pods have pulled.

    None goes again.
    """

    __slots__ = ("_present",)

    def __init__(self, present: Iterable[str] = ()) -> None:
        self._present = _shared(frozenset(_references(present)))

    def has(self, image: str) -> bool:
        """Return whether an image, as a pod refers to it, is there."""
        return full_reference(image) in self._present

    def add(self, image: str) -> None:
        """Keep an image."""
        if not self.has(image):
            self._present = _with(self._present, full_reference(image))


def _references(names: Iterable[str]) -> Iterator[str]:
    """Yield the names that pods can refer to: runtimes have others, such as `<none>@<none>`."""
    for name in names:
        with suppress(ImageReferenceError):
            yield full_reference(name)


# Thousands of nodes have the same few images.
@lru_cache(1024)
def _shared(images: frozenset[str]) -> frozenset[str]:
    return images


@lru_cache(1024)
def _with(images: frozenset[str], image: str) -> frozenset[str]:
    return _shared(images | {image})
