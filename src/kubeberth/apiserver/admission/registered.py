"""What is registered to look at writes, compiled: read anew when one of the objects has changed.

Which of it a kind of write concerns is worked out once and remembered, so that writes that
concern nobody cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from kubeberth.api.scheme import Resource
from kubeberth.apiserver.admission.chain import Attributes
from kubeberth.apiserver.admission.matching import Criteria, Rule
from kubeberth.apiserver.admission.versions import Versions
from kubeberth.apiserver.catalogue import Catalogue
from kubeberth.apiserver.storage.store import Store, StoreEvent
from kubeberth.apiserver.strategy import OWN_WRITES


class Watching(Protocol):
    """Somebody who looks at writes."""

    @property
    def criteria(self) -> Criteria:
        """At which."""


class Counted(Protocol):
    """Something that has changed so and so often."""

    @property
    def count(self) -> int:
        """How often it has."""


T = TypeVar("T", bound=Watching)
# Who is concerned, in which version they want to see the object, and by which rules.
Concerned = tuple[T, Resource, tuple[Rule, ...]]


class Changes:
    """Counts how often something of some kinds was registered, changed or taken away."""

    def __init__(self, store: Store, *kinds: Resource) -> None:
        self.count = 0
        store.subscribe(self._note, *(kind.storage_key for kind in kinds))

    def _note(self, event: StoreEvent) -> None:
        self.count += 1


class Registered(Generic[T]):
    """Everything of one kind that is registered, in the order in which it is asked."""

    def __init__(
        self, changes: Counted, versions: Versions, read: Callable[[], Sequence[T]]
    ) -> None:
        self._changes = changes
        self._read = read
        self._versions = versions
        self._seen = -1
        self._all: Sequence[T] = ()
        self._concerned: dict[tuple[str, str, str, str, str], list[Concerned[T]]] = {}
        self._catalogue: Catalogue | None = None

    def concerned(self, attributes: Attributes) -> Sequence[Concerned[T]]:
        """Return who is concerned by a kind of write, before anybody looks at the object."""
        if self._seen != self._changes.count:
            self._seen = self._changes.count
            self._all = self._read()
            self._concerned.clear()
        if not self._all:
            return ()
        # What these write is no object that a client sent: of that, who asked was asked.
        if attributes.subresource in OWN_WRITES and attributes.operation == "UPDATE":
            return ()
        catalogue = self._versions.catalogue()
        if catalogue is not self._catalogue:
            self._concerned.clear()
            self._catalogue = catalogue
        resource, sub = attributes.resource, attributes.subresource
        key = (attributes.operation, resource.group, resource.version, resource.plural, sub)
        found = self._concerned.get(key)
        if found is None:
            found = self._concerned[key] = self._work_out(attributes.operation, resource, sub)
        return found

    def _work_out(self, operation: str, resource: Resource, sub: str) -> list[Concerned[T]]:
        found: list[Concerned[T]] = []
        for item in self._all:
            match = item.criteria.resource_for(operation, resource, sub, self._versions.equivalents)
            if match is not None:
                found.append((item, *match))
        return found
