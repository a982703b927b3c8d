"""What admission sees of the objects of a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from kubeberth.api.scheme import Resource

Document = dict[str, Any]


class Held(Protocol):
    """The objects of a cluster."""

    def find(self, resource: Resource, namespace: str, name: str) -> Document | None:
        """Return an object, or None."""

    def find_all(self, resource: Resource, namespace: str = "") -> Iterable[Document]:
        """Return the objects of a resource."""

    def follow(
        self, follower: Callable[[Resource, Any, Any], None], resources: Iterable[Resource]
    ) -> None:
        """Have somebody told of every change of some resources from now on."""
