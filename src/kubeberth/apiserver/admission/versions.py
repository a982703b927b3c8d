"""The object of a write as a webhook or policy wants to see it, and back again.

Who asks for another version of the resource gets the object in that version; who watches over
`scale` gets a Scale.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable

from kubeberth.api.scheme import Resource
from kubeberth.apiserver.admission.chain import Attributes, Document
from kubeberth.apiserver.admission.review import Asked
from kubeberth.apiserver.catalogue import Catalogue
from kubeberth.apiserver.scale import scale_of, scaled
from kubeberth.apiserver.views import VIEWS

# Turns a custom object of one version into another version.
Convert = Callable[[Resource, Resource, Document], Awaitable[Document]]

SCALE = "scale"


class Versions:
    """Knows the versions of resources, and turns objects from one into another."""

    def __init__(self, catalogue: Callable[[], Catalogue], convert: Convert) -> None:
        self.catalogue = catalogue
        self._convert = convert

    def equivalents(self, resource: Resource) -> list[Resource]:
        """Return the resources that show the same objects, this one too."""
        key = resource.storage_key
        return [other for other in self.catalogue().resources if other.storage_key == key]

    async def asked(self, attributes: Attributes, resource: Resource) -> Asked:
        """Return the object of a write as somebody sees it who asked for a version of it."""
        return Asked(
            resource,
            await self._shown(attributes, resource, attributes.document),
            await self._shown(attributes, resource, attributes.old),
        )

    async def _shown(
        self, attributes: Attributes, resource: Resource, document: Document | None
    ) -> Document | None:
        if document is None:
            return None
        if attributes.subresource == SCALE:
            return scale_of(attributes.resource, document)
        if resource is attributes.resource:
            return document
        return await self._turned(document, attributes.resource, resource)

    async def taken(
        self, attributes: Attributes, resource: Resource, document: Document
    ) -> Document:
        """Return the object of a write that somebody has changed in the shape they saw."""
        if attributes.subresource == SCALE:
            parent = copy.deepcopy(attributes.document) or {}
            return scaled(attributes.resource, attributes.name, parent, document)
        if resource is attributes.resource:
            return document
        return await self._turned(document, resource, attributes.resource)

    async def _turned(self, document: Document, source: Resource, target: Resource) -> Document:
        if source.custom is not None:
            return await self._convert(source, target, document)
        if source.stored_as is not None:
            document = VIEWS[source.api_version].to_stored(document)
        if target.stored_as is not None:
            document = VIEWS[target.api_version].from_stored(document)
        return document
