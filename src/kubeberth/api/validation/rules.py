"""Rules: what a resource's objects must be like, new ones and changed ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeberth.api.validation.field_error import FieldError
from kubeberth.api.validation.metadata import validate_metadata

Document = Mapping[str, Any]
ChangeRules = Callable[[Document, Document], list[FieldError]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a resource's objects must be like.

    Parameters
    ----------
    validate
        For new objects.
    validate_update, validate_status_update
        For changes, given the new object and the old; None when only the metadata are looked at.
    of_parts
        For changes through other parts with rules of their own, by the name of the part.
    """

    validate: Callable[[Document], list[FieldError]]
    validate_update: ChangeRules | None = None
    validate_status_update: ChangeRules | None = None
    of_parts: Mapping[str, ChangeRules] = field(default_factory=dict)

    def of_change(self, part: str) -> ChangeRules | None:
        """Return the rules for a change of the object, or through a part of it."""
        if part in self.of_parts:
            return self.of_parts[part]
        return self.validate_status_update if part == "status" else self.validate_update


def with_metadata(
    rules: Callable[[Document], list[FieldError]],
) -> Callable[[Document], list[FieldError]]:
    """Return rules that look at the metadata first."""
    return lambda document: validate_metadata(document.get("metadata") or {}) + rules(document)
