"""NamespaceExists and NamespaceAutoProvision: what becomes of objects for a missing namespace.

Match `plugin/pkg/admission/namespace` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kubeberth.api.scheme import NAMESPACES
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission.chain import Attributes, Plugin, Reader


class NamespaceExists(Plugin):
    """Refuses every write in a namespace that is not there."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def validate(self, attributes: Attributes) -> None:
        """Look for the namespace."""
        name = attributes.namespace
        if attributes.resource is NAMESPACES or not name:
            return
        if self._reader.find(NAMESPACES, "", name) is None:
            raise refusals.not_found(NAMESPACES, name)


class NamespaceAutoProvision(Plugin):
    """Makes the namespace that the first object in it needs.

    Parameters
    ----------
    make
        Makes a namespace, unless somebody else was faster.
    """

    def __init__(self, reader: Reader, make: Callable[[str], Awaitable[None]]) -> None:
        self._reader = reader
        self._make = make

    async def admit(self, attributes: Attributes) -> None:
        """Make the namespace of a new object."""
        name = attributes.namespace
        if attributes.operation != "CREATE" or attributes.dry_run:
            return
        if attributes.resource is NAMESPACES or not name:
            return
        if self._reader.find(NAMESPACES, "", name) is None:
            await self._make(name)
