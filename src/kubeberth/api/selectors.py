"""Label and field selectors: parsed once, matched many times.

Matches `k8s.io/apimachinery/pkg/labels` and `pkg/fields` of Kubernetes 1.36.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubeberth.api import names

OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")


class SelectorError(ValueError):
    """A text that is no selector."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on the label `key`."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels meet the condition; an absent label meets NotIn."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case "Gt" | "Lt":
                return self._compares(value)
            case _:
                return False

    def _compares(self, value: str | None) -> bool:
        left = parse_int64(value) if value is not None else None
        right = parse_int64(next(iter(self.values), ""))
        if left is None or right is None:
            return False
        return left > right if self.operator == "Gt" else left < right


_INT64 = re.compile(r"[+-]?[0-9]+")


def parse_int64(text: str) -> int | None:
    """Return the number as Go's `ParseInt(text, 10, 64)` reads it, or None."""
    if len(text) > 100 or _INT64.fullmatch(text) is None:
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements together; without any it matches everything.

    Parameters
    ----------
    matches_nothing
        A `LabelSelector` that is absent altogether.
    """

    requirements: tuple[Requirement, ...] = ()
    matches_nothing: bool = False

    @property
    def is_everything(self) -> bool:
        """Whether every set of labels matches."""
        return not self.requirements and not self.matches_nothing

    @property
    def label(self) -> tuple[str, str] | None:
        """A label, key and value, that all have that match; None when there is no such one."""
        for requirement in self.requirements:
            if requirement.operator == "In" and len(requirement.values) == 1:
                [value] = requirement.values
                return requirement.key, value
        return None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels meet all requirements."""
        if self.matches_nothing:
            return False
        # Asked of every pod of a large set: a generator would take twice as long.
        for requirement in self.requirements:  # noqa: SIM110
            if not requirement.matches(labels):
                return False
        return True


EVERYTHING = Selector()
NOTHING = Selector(matches_nothing=True)


def from_label_selector(selector: Any) -> Selector:
    """Return the selector of a `metav1.LabelSelector`.

    Parameters
    ----------
    selector
        The JSON object, or a struct with `match_labels` and `match_expressions`; None matches
        nothing, an empty one everything.
    """
    if selector is None:
        return NOTHING
    if isinstance(selector, Mapping):
        labels = selector.get("matchLabels") or {}
        expressions = [
            (e.get("key", ""), e.get("operator", ""), e.get("values") or ())
            for e in selector.get("matchExpressions") or ()
        ]
    else:
        labels = selector.match_labels or {}
        expressions = [(e.key, e.operator, e.values) for e in selector.match_expressions or ()]
    requirements = [Requirement(key, "In", frozenset((value,))) for key, value in labels.items()]
    requirements += [Requirement(key, op, frozenset(values)) for key, op, values in expressions]
    return Selector(tuple(requirements))


_TOKEN = re.compile(r"\s*(==|!=|=|!|,|\(|\)|>|<|[^\s=!,()<>]+)")


def _tokens(text: str) -> Iterator[str]:
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return
        position = token.end()
        yield token[1]


_SYMBOLS = frozenset(("==", "!=", "=", "!", ",", "(", ")", ">", "<"))
_BY_SYMBOL = {"=": "In", "==": "In", "!=": "NotIn", "in": "In", "notin": "NotIn"}
_COMPARISONS = {">": "Gt", "gt": "Gt", "<": "Lt", "lt": "Lt"}


def _is_identifier(token: str) -> bool:
    return token != "" and token not in _SYMBOLS


class _LabelSelectorParser:
    """Reads `a=b,c in (d,e),!f,g,h>1` from left to right; the last token is the empty one."""

    def __init__(self, text: str) -> None:
        self._tokens = [*_tokens(text), ""]
        self._position = 0

    def parse(self) -> Selector:
        requirements: list[Requirement] = []
        while self._peek():
            if not self._starts_requirement():
                raise SelectorError(
                    f"found '{self._peek()}', expected: !, identifier, or 'end of string'"
                )
            requirements.append(self._requirement())
            self._separator()
        return Selector(tuple(requirements))

    def _separator(self) -> None:
        token = self._next()
        if token not in ("", ","):
            raise SelectorError(f"found '{token}', expected: ',' or 'end of string'")
        if token == "," and not self._starts_requirement():
            raise SelectorError(f"found '{self._peek()}', expected: identifier after ','")

    def _peek(self) -> str:
        return self._tokens[self._position]

    def _next(self) -> str:
        token = self._tokens[self._position]
        self._position = min(self._position + 1, len(self._tokens) - 1)
        return token

    def _starts_requirement(self) -> bool:
        return self._peek() == "!" or _is_identifier(self._peek())

    def _requirement(self) -> Requirement:
        try:
            requirement = self._key_and_operator()
            _check(requirement)
        except SelectorError as error:
            raise SelectorError(f"unable to parse requirement: {error}") from None
        return requirement

    def _key_and_operator(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return Requirement(self._identifier(), "DoesNotExist")
        key = self._identifier()
        if self._peek() in ("", ","):
            return Requirement(key, "Exists")
        operator = self._next()
        if operator in ("in", "notin"):
            return Requirement(key, _BY_SYMBOL[operator], frozenset(self._value_set()))
        kind = _BY_SYMBOL.get(operator) or _COMPARISONS.get(operator)
        if kind is None:
            raise SelectorError(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
        return Requirement(key, kind, frozenset((self._value(),)))

    def _identifier(self) -> str:
        token = self._next()
        if not _is_identifier(token):
            raise SelectorError(f"found '{token}', expected: identifier")
        return token

    def _value(self) -> str:
        return "" if self._peek() in ("", ",") else self._identifier()

    def _value_set(self) -> list[str]:
        opening = self._next()
        if opening != "(":
            raise SelectorError(f"found '{opening}', expected: '('")
        values = []
        while True:
            values.append("" if self._peek() in (",", ")") else self._identifier())
            token = self._next()
            if token == ")":
                return values
            if token != ",":
                raise SelectorError(f"found '{token}', expected: ',' or ')'")


def _check(requirement: Requirement) -> None:
    """Raise SelectorError for a key or value that no label can have."""
    for error in names.qualified_name_errors(requirement.key):
        raise SelectorError(f'<nil>: Invalid value: "{requirement.key}": {error}')
    for index, value in enumerate(sorted(requirement.values)):
        for error in _value_errors(requirement.operator, value):
            raise SelectorError(
                f'values[{index}][{requirement.key}]: Invalid value: "{value}": {error}'
            )


def _value_errors(operator: str, value: str) -> list[str]:
    if operator in ("Gt", "Lt"):
        is_integer = parse_int64(value) is not None
        return [] if is_integer else ["for 'Gt', 'Lt' operators, the value must be an integer"]
    return names.label_value_errors(value)


def parse_label_selector(text: str) -> Selector:
    """Return the selector that a `labelSelector` parameter stands for.

    Raises
    ------
    SelectorError
        With the whole message that the API server answers.
    """
    return _LabelSelectorParser(text).parse()


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All `(path, operator, value)` terms together; operator is `=` or `!=`."""

    terms: tuple[tuple[str, str, str], ...] = ()

    def matches(self, value_of: Callable[[str], str]) -> bool:
        """Return whether the object whose fields `value_of` reads meets all terms."""
        return all((value_of(path) == value) is (op == "=") for path, op, value in self.terms)

    def required(self, path: str) -> str | None:
        """Return the value that the field must have, or None when the selector leaves it open."""
        return next((value for p, op, value in self.terms if p == path and op == "="), None)


# Splits at commas that no backslash escapes.
_FIELD_TERM = re.compile(r"(?:[^,\\]|\\.)+", re.DOTALL)
_FIELD_PARTS = re.compile(r"(?P<path>(?:[^=!\\]|\\.)*?)(?P<op>!=|==|=)(?P<value>.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)


def _unescape(value: str) -> str:
    def replace(escape: re.Match[str]) -> str:
        if escape[1] not in ("\\", ",", "=") or not escape[1]:
            raise SelectorError(f'invalid field selector: invalid escape sequence: "{escape[0]}"')
        return escape[1]

    return _ESCAPE.sub(replace, value)


def parse_field_selector(text: str) -> FieldSelector:
    """Return the selector that a `fieldSelector` parameter stands for: `a.b=c,d!=e`.

    Raises
    ------
    SelectorError
        With upstream's text.
    """
    terms = []
    for term in _FIELD_TERM.findall(text):
        parts = _FIELD_PARTS.fullmatch(term)
        if parts is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
        operator = "!=" if parts["op"] == "!=" else "="
        terms.append((parts["path"], operator, _unescape(parts["value"])))
    return FieldSelector(tuple(terms))
