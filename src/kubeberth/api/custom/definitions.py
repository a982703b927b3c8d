"""A CustomResourceDefinition, and the resources that it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubeberth.api.custom.version import version_of
from kubeberth.api.scheme import SCALE, STANDARD_VERBS, STATUS, Resource

Document = Mapping[str, Any]

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"

# What can still be done with objects that are about to go; their finalizers must be able to.
_TERMINATING_VERBS = tuple(verb for verb in STANDARD_VERBS if verb != "create")
_VERSION = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")
_STAGES = {"alpha": 1, "beta": 2, None: 3}


def condition(definition: Document, type_: str) -> Document | None:
    """Return a condition of a definition, or None."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return next((found for found in conditions if found["type"] == type_), None)


def is_true(definition: Document, type_: str) -> bool:
    """Return whether a condition holds."""
    found = condition(definition, type_)
    return found is not None and found["status"] == "True"


def resources_of(definition: Document) -> tuple[Resource, ...]:
    """Return the resources that a definition stands for, the preferred version first.

    A definition whose names are not accepted stands for nothing yet.
    """
    if not is_true(definition, "Established"):
        return ()
    spec, names = definition["spec"], definition["status"]["acceptedNames"]
    versions = sorted(
        (version for version in spec["versions"] if version.get("served")),
        key=lambda version: version_rank(version["name"]),
    )
    return tuple(
        Resource(
            spec["group"],
            version["name"],
            names["plural"],
            names["kind"],
            namespaced=spec["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            verbs=_TERMINATING_VERBS if is_true(definition, "Terminating") else STANDARD_VERBS,
            subresources=_subresources_of(version),
            singular=names.get("singular", ""),
            custom=version_of(definition, version),
        )
        for version in versions
    )


def _subresources_of(version: Document) -> tuple[Any, ...]:
    wanted = version.get("subresources") or {}
    return tuple(sub for sub in (SCALE, STATUS) if sub.name in wanted)


def version_rank(name: str) -> tuple[Any, ...]:
    """Return a key that sorts versions as discovery does: stable before beta, new before old."""
    match = _VERSION.fullmatch(name)
    if match is None:
        return (1, name)
    return (0, -_STAGES[match[2]], -int(match[1]), -int(match[3] or 0))
