"""The catalogue: every resource that a server answers for, built in and custom, as of one moment.

It does not change: when a definition does, the server takes up a new one (`definitions.py`).
"""

from __future__ import annotations

from functools import cached_property

from kubeberth.api.scheme import RESOURCES, Resource

# Groups in upstream's order of priority; versions of a group in the order of the table.
GROUP_ORDER = (
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
)


class Catalogue:
    """The resources, and what is looked up in them for every request.

    Parameters
    ----------
    custom
        The resources that definitions stand for, sorted by group.
    """

    def __init__(self, custom: tuple[Resource, ...] = ()) -> None:
        self.custom = custom
        self.resources = (*RESOURCES, *custom)
        self._by_path = {(r.group, r.version, r.plural): r for r in (*custom, *RESOURCES)}
        self.groups = frozenset(resource.group for resource in self.resources)

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Return the resource that a path names, or None."""
        return self._by_path.get((group, version, plural))

    @cached_property
    def versions_by_group(self) -> dict[str, list[str]]:
        """The named groups in order of priority, each with its versions, preferred first."""
        groups: dict[str, list[str]] = {name: [] for name in GROUP_ORDER}
        for resource in self.resources:
            versions = groups.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
        return {name: versions for name, versions in groups.items() if name and versions}

    @cached_property
    def by_group_version(self) -> dict[tuple[str, str], tuple[Resource, ...]]:
        """The resources of each group and version, sorted by name."""
        found: dict[tuple[str, str], list[Resource]] = {}
        for resource in self.resources:
            found.setdefault((resource.group, resource.version), []).append(resource)
        return {key: tuple(sorted(rs, key=lambda r: r.plural)) for key, rs in found.items()}


BUILT_IN = Catalogue()
