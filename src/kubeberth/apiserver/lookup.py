"""What admission looks up again and again: current objects, each decoded once.

Rule 1  What is returned is what the store has at this moment: whatever is written is forgotten
here before anybody can see that it was written.
Rule 2  It belongs to all who look: nobody changes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubeberth.api.scheme import Resource
from kubeberth.apiserver.objects import Document, key_of, prefix_of
from kubeberth.apiserver.registry import Registry
from kubeberth.apiserver.storage.store import StoreEvent

# Namespaces and accounts of a large cluster; services, which only services ask for, may be more.
REMEMBERED = 10_000


class Lookup:
    """Finds objects for those who decide about writes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.charge = registry.charge
        self._found: dict[str, Document | None] = {}
        self._lists: dict[str, dict[str, Sequence[Document]]] = {}
        registry.store.subscribe(self._forget)

    def find(self, resource: Resource, namespace: str, name: str) -> Document | None:
        """Return an object, or None."""
        key = key_of(resource, namespace, name)
        if key not in self._found:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            self._found[key] = self._registry.find(resource, namespace, name)
        return self._found[key]

    def find_all(self, resource: Resource, namespace: str = "") -> Sequence[Document]:
        """Return the objects of a resource."""
        lists = self._lists.setdefault(resource.storage_key, {})
        prefix = prefix_of(resource, namespace)
        found = lists.get(prefix)
        if found is None:
            found = tuple(self._registry.find_all(resource, namespace))
            if len(lists) < REMEMBERED:
                lists[prefix] = found
        return found

    def _forget(self, event: StoreEvent) -> None:
        self._found.pop(event.key, None)
        self._lists.pop(event.bucket, None)
