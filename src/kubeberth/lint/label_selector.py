"""Label selectors of manifests: what they select, and where they say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubeberth.api.near import near_miss
from kubeberth.lint.field import Field
from kubeberth.lint.requirements import Asked, expressions, selector_entries


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A `metav1.LabelSelector`, present or not, and the requirements in it."""

    field: Field
    asked: tuple[Asked, ...]

    @property
    def is_absent(self) -> bool:
        """Whether there is none, which selects nothing."""
        return not self.field.exists

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing, which selects everything."""
        return self.field.exists and not self.asked

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether it selects what has these labels."""
        return not self.is_absent and all(one.requirement.matches(labels) for one in self.asked)

    def __str__(self) -> str:
        return ", ".join(map(str, self.asked)) or "(everything)"

    def near_miss(self, labels: Mapping[str, str]) -> tuple[Asked, str] | None:
        """Return the one requirement that labels miss by a slip of spelling, and what they have."""
        missed = [one for one in self.asked if not one.requirement.matches(labels)]
        if len(missed) != 1 or missed[0].requirement.operator != "In":
            return None
        [asked] = missed
        requirement = asked.requirement
        if requirement.key in labels:
            for value in sorted(requirement.values):
                if near_miss(value, [labels[requirement.key]]):
                    return asked, f"{requirement.key}={labels[requirement.key]}"
            return None
        key = near_miss(requirement.key, labels)
        if key and labels[key] in requirement.values:
            return asked, f"{key}={labels[key]}"
        return None


def label_selector(field: Field) -> LabelSelector:
    """Return the selector in a field."""
    entries = selector_entries(field.at("matchLabels"))
    return LabelSelector(field, (*entries, *expressions(field.at("matchExpressions"))))
