"""The kinds that controllers know: those that are built in, and those that definitions add."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from kubeberth.api.custom.definitions import resources_of
from kubeberth.api.meta import ObjectMeta
from kubeberth.api.scheme import BY_KIND, RESOURCES, Resource
from kubeberth.api.workloads import decode_object


@dataclass(frozen=True, slots=True)
class Definition:
    """A CustomResourceDefinition, as far as controllers care.

    Parameters
    ----------
    resources
        The versions of what it defines, the preferred one first. They are told apart by their
        names alone: what the schema says does not matter here.
    """

    metadata: ObjectMeta
    resources: tuple[Resource, ...]


def decode_definition(raw: bytes) -> Definition:
    """Return a definition from its JSON."""
    resources = resources_of(msgspec.json.decode(raw))
    bare = tuple(replace(resource, custom=None) for resource in resources)
    return Definition(decode_object(raw).metadata, bare)


class Kinds:
    """Which resource an owner reference means, and which ones there are in a namespace.

    A kind that was defined once stays known: who still refers to its objects is to find out that
    they are gone.
    """

    def __init__(self) -> None:
        self._by_kind = dict(BY_KIND)
        self._by_name = {r.group_resource: r for r in RESOURCES if r.stored_as is None}
        self._defined: dict[str, Resource] = {}

    def of(self, api_version: str, kind: str) -> Resource | None:
        """Return the resource of a kind in some version, or None."""
        return self._by_kind.get((api_version, kind))

    def named(self, group_resource: str) -> Resource:
        """Return the resource of that name."""
        return self._by_name[group_resource]

    @property
    def defined(self) -> Iterable[Resource]:
        """The resources that definitions stand for now."""
        return self._defined.values()

    def define(self, name: str, definition: Definition | None) -> None:
        """Take in a definition; None when it is gone."""
        if definition is None or not definition.resources:
            self._defined.pop(name, None)
            return
        preferred = definition.resources[0]
        self._defined[name] = self._by_name[preferred.group_resource] = preferred
        for resource in definition.resources:
            self._by_kind[resource.api_version, resource.kind] = preferred
