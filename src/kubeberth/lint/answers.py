"""The fields that an API server knows, where it misses one."""

from __future__ import annotations

from kubeberth.api.schema import OBJECT, Type, definition_of
from kubeberth.lint.field import Path
from kubeberth.lint.subject import Subject


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
