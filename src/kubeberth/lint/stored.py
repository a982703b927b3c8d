"""What an API server would make of a subject, and the paths in its answers."""

from __future__ import annotations

import re

from kubeberth.api.schema import OBJECT, Type, definition_of
from kubeberth.api.scheme import BY_KIND, PODS
from kubeberth.library.stored import SYSTEM_CLASSES, Stored, to_stored
from kubeberth.lint.field import Path
from kubeberth.lint.subject import Subject

_STEP = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


def stored(subject: Subject) -> Stored | None:
    """Return what would be stored of an object, or why not; None of kinds that are not built in."""
    resource = BY_KIND.get((subject.api_version, subject.kind))
    if resource is None or definition_of(subject.api_version, subject.kind) is None:
        return None
    classes = SYSTEM_CLASSES
    if resource is PODS:
        # Whether there is such a class is another rule's business.
        name = subject.root.at("spec", "priorityClassName").text
        known = {str(entry["metadata"]["name"]) for entry in SYSTEM_CLASSES}
        if name and name not in known:
            classes = (*SYSTEM_CLASSES, {"metadata": {"name": name}, "value": 0})
    return to_stored(resource, subject.root.value, classes)


def field_path(field: str) -> Path:
    """Return the path that an API server writes as `spec.containers[0].name`."""
    return tuple(
        int(inner) if inner.isdecimal() else inner or name for inner, name in _STEP.findall(field)
    )


def known_fields(subject: Subject, path: Path) -> tuple[str, ...]:
    """Return the names of the fields that there may be where a path leads."""
    known = definition_of(subject.api_version, subject.kind)
    within: Type | None = None
    for step in path:
        if within is not None and within.element is not None:
            within = within.element  # an index of a list, or a key of a map
        elif known is not None and step in known.fields:
            within = known.fields[str(step)].type
        else:
            return ()
        known = within.definition if within.code == OBJECT else None
    return tuple(known.fields) if known is not None else ()
