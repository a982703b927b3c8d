"""Images: which of them a pod needs, and which nodes hold them already."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import ContainerImage, PodSpec

# What the API allows; a size below zero makes no sense.
_MAX_SIZE = 2**63 - 1


def needed_images(spec: PodSpec, of_volumes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the images of containers and image volumes, each as often as it is named."""
    containers = (*spec.init_containers, *spec.containers)
    names = (*(container.image for container in containers), *of_volumes)
    return tuple(_with_tag(name) for name in names)


def _with_tag(name: str) -> str:
    """Return an image's name as the kubelet reports it; a registry is not added."""
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


class Image:
    """One name of an image, and where it is.

    Attributes
    ----------
    size
        Bytes, as reported by the first node that had it. Upstream forgets that when the only node
        left that has it is heard of again, even if it says nothing new.
    """

    __slots__ = ("_array", "_slots", "size")

    def __init__(self, size: int, slots: Iterable[int] = ()) -> None:
        self.size = size
        self._slots = set(slots)
        self._array: NDArray[np.intp] | None = None

    @property
    def n_nodes(self) -> int:
        """How many nodes hold it."""
        return len(self._slots)

    @property
    def slots(self) -> NDArray[np.intp]:
        """The nodes that hold it: ndarray of intp, shape (n_nodes,)."""
        if self._array is None:
            self._array = np.fromiter(self._slots, dtype=np.intp, count=len(self._slots))
        return self._array

    def add(self, slot: int) -> None:
        """Note that a node holds it."""
        self._slots.add(slot)
        self._array = None

    def discard(self, slot: int) -> None:
        """Note that a node holds it no more."""
        self._slots.discard(slot)
        self._array = None

    def copy(self) -> Image:
        """Return one that changes on its own from now on."""
        return Image(self.size, self._slots)


class ImageTable:
    """The images on all nodes."""

    def __init__(self) -> None:
        self._images: dict[str, Image] = {}
        self._on_slot: dict[int, tuple[str, ...]] = {}

    def get(self, name: str) -> Image | None:
        """Return the image of that name, or None when no node holds it."""
        return self._images.get(name)

    def put(self, slot: int, images: Iterable[ContainerImage]) -> None:
        """Set what a node holds."""
        for name in self._on_slot.pop(slot, ()):
            image = self._images[name]
            image.discard(slot)
            if not image.n_nodes:
                del self._images[name]
        sizes: dict[str, int] = {}
        for reported in images:
            for name in reported.names:
                sizes.setdefault(name, reported.size_bytes)
        for name, size in sizes.items():
            known = self._images.get(name)
            if known is None:
                known = self._images[name] = Image(min(max(size, 0), _MAX_SIZE))
            known.add(slot)
        if sizes:
            self._on_slot[slot] = tuple(sizes)

    def copy(self) -> ImageTable:
        """Return a table that changes on its own from now on."""
        other = ImageTable()
        other._images = {name: image.copy() for name, image in self._images.items()}
        other._on_slot = self._on_slot.copy()
        return other
