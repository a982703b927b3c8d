"""What pods ask of nodes: requirements with the fields that they stand in, and their conflicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kubeberth.api.selectors import Requirement, parse_int64
from kubeberth.lint.field import Field

_NODE_AFFINITY = ("affinity", "nodeAffinity")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
# As `matchFields` calls it; no label has a name like it.
NODE_NAME = "metadata.name"
_BOUNDS = {"Gt": ">", "Lt": "<"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One requirement, and where it stands.

    Parameters
    ----------
    key, values
        The fields of its parts; of a node selector's entry both are the entry.
    """

    requirement: Requirement
    key: Field
    values: Field

    @property
    def is_entry(self) -> bool:
        """Whether it is an entry of a mapping, whose key is the label's."""
        return self.key is self.values

    @property
    def is_label(self) -> bool:
        """Whether it asks for a label rather than for the node's name."""
        return self.requirement.key != NODE_NAME

    def __str__(self) -> str:
        asked = self.requirement
        values = sorted(asked.values)
        match asked.operator:
            case "Exists":
                return asked.key
            case "DoesNotExist":
                return f"!{asked.key}"
            case "Gt" | "Lt":
                return f"{asked.key} {_BOUNDS[asked.operator]} {', '.join(values)}"
            case "In" if len(values) == 1:
                return f"{asked.key}={values[0]}"
            case _:
                return f"{asked.key} {asked.operator.lower()} ({', '.join(values)})"


@dataclass(frozen=True, slots=True)
class Term:
    """Requirements that must hold together, and where they stand.

    Parameters
    ----------
    weight
        Of a preference; None of what is required.
    """

    asked: tuple[Asked, ...]
    field: Field
    weight: int | None = None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether a node with these labels meets all; an empty term matches none."""
        return bool(self.asked) and all(asked.requirement.matches(labels) for asked in self.asked)


def selector_entries(selector: Field) -> Iterator[Asked]:
    """Yield what a mapping of labels asks for, such as a node selector or `matchLabels`."""
    for key, item in selector.entries():
        yield Asked(Requirement(key, "In", frozenset((item.text,))), item, item)


def expressions(field: Field) -> Iterator[Asked]:
    """Yield what a list of expressions asks for."""
    for entry in field.each():
        key, values = entry.at("key"), entry.at("values")
        requirement = Requirement(key.text, entry.at("operator").text, values.values)
        yield Asked(requirement, key, values)


def required_terms(spec: Field) -> list[Term]:
    """Return the terms of the required node affinity, of which one must match."""
    found = spec.at(*_NODE_AFFINITY, _REQUIRED)
    return [Term(_of_term(term), term) for term in found.each("nodeSelectorTerms")]


def preferred_terms(spec: Field) -> list[Term]:
    """Return the terms of the preferred node affinity."""
    return [
        Term(_of_term(item.at("preference")), item, item.at("weight").number or 0)
        for item in spec.each(*_NODE_AFFINITY, _PREFERRED)
    ]


def alternatives(spec: Field) -> list[Term]:
    """Return the ways in which a node can meet all that is required of it.

    Each is the node selector together with one term of the required affinity. None at all means
    that nothing is required.
    """
    selector = spec.at("nodeSelector")
    always = tuple(selector_entries(selector))
    terms = required_terms(spec)
    if not terms:
        return [Term(always, selector)] if always else []
    return [Term((*always, *term.asked), term.field) for term in terms if term.asked]


def _of_term(term: Field) -> tuple[Asked, ...]:
    return (
        *expressions(term.at("matchExpressions")),
        *expressions(term.at("matchFields")),
    )


def conflict(asked: Sequence[Asked]) -> tuple[Asked, ...]:
    """Return requirements on one label that no value meets together; nothing if there are none.

    The fewest of them: one, two, or else all on that label.
    """
    by_key: dict[str, list[Asked]] = {}
    for one in asked:
        by_key.setdefault(one.requirement.key, []).append(one)
    for same in by_key.values():
        if _is_satisfiable(same):
            continue
        for index, second in enumerate(same):
            if not _is_satisfiable([second]):
                return (second,)
            for first in same[:index]:
                if not _is_satisfiable([first, second]):
                    return (first, second)
        return tuple(same)
    return ()


def _is_satisfiable(asked: Sequence[Asked]) -> bool:
    """Return whether a label can meet requirements that all are on it."""
    requirements = [one.requirement for one in asked]
    key = requirements[0].key
    if all(requirement.matches({}) for requirement in requirements):
        return True
    return any(
        all(requirement.matches({key: value}) for requirement in requirements)
        for value in _candidates(requirements)
    )


def _candidates(requirements: Sequence[Requirement]) -> Iterator[str]:
    """Yield values, of which one meets the requirements if any does."""
    named = [value for requirement in requirements for value in sorted(requirement.values)]
    yield from named
    # Beside every bound, and further on by as many as are forbidden, lies what else there is.
    numbers = [number for value in named if (number := parse_int64(value)) is not None]
    for number in numbers:
        for step in range(1, len(named) + 2):
            yield str(number + step)
            yield str(number - step)
    yield "x" * (1 + max(map(len, named), default=0))
