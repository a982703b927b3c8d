"""Validation rules of a schema (`x-kubernetes-validations`), and what breaks them.

Rule: https://kubernetes.io/docs/reference/using-api/cel/
Matches `pkg/apiserver/schema/cel` of k8s.io/apiextensions-apiserver 1.36. A rule that uses what is
not known here is not looked at; whoever creates the definition is warned of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from kubeberth.api.cel.evaluate import BUDGET, Budget, evaluate, names_in, unknown_functions
from kubeberth.api.cel.functions import CelError, Optional
from kubeberth.api.cel.syntax import CelSyntaxError, Node, parse
from kubeberth.api.custom.structural import ABSENT, Structural
from kubeberth.api.custom.values import NOWHERE
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    forbidden,
    required,
    shown,
)

Rule = Mapping[str, Any]

# What a rule is not checked for as long as there are errors of these types.
_BLOCKING = frozenset(
    (
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
        "FieldValueNotSupported",
    )
)
# Of the bodies of macros, for one rule and one value.
MAX_ROUNDS = 100_000
UNCHECKED = FieldError(
    "FieldValueInvalid",
    NOWHERE,
    'Invalid value: "null": some validation rules were not checked because the object was '
    "invalid; correct the existing errors to complete validation",
)


@lru_cache(maxsize=4096)
def parse_rule(text: str) -> Node:
    """Return the tree of a rule.

    Raises
    ------
    CelSyntaxError
        It is no expression.
    """
    return parse(text)


def rules_of(raw: Mapping[str, Any]) -> list[Rule]:
    """Return the rules of one node of a schema."""
    return list(raw.get("x-kubernetes-validations") or ())


def uncheckable_rules(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Yield where in a schema rules are that cannot be checked here, and why."""
    for index, rule in enumerate(rules_of(schema)):
        if unknown := sorted(unknown_functions(parse_rule(rule["rule"]))):
            where = f"{path}.x-kubernetes-validations[{index}].rule"
            yield where, f"no function {', '.join(unknown)}"
    for name, child in (schema.get("properties") or {}).items():
        yield from uncheckable_rules(child, f"{path}.properties[{name}]")
    for name in ("additionalProperties", "items"):
        if isinstance(child := schema.get(name), dict):
            yield from uncheckable_rules(child, f"{path}.{name}")


def validate_rules(
    value: Any, old: Any, node: Structural, earlier: list[FieldError]
) -> list[FieldError]:
    """Return which rules an object breaks.

    Parameters
    ----------
    old
        The object before the change; ABSENT for a new one.
    earlier
        What else is wrong with the object; some of it keeps rules from being checked.
    """
    if not node.has_rules:
        return []
    if any(error.type in _BLOCKING for error in earlier):
        return [UNCHECKED]
    return list(_broken(value, old, node, ""))


def _broken(value: Any, old: Any, node: Structural, path: str) -> Iterator[FieldError]:
    if value is None:
        return
    for rule in rules_of(node.raw):
        if error := _check(value, old, rule, node, path):
            yield error
    if isinstance(value, dict):
        for name, item in value.items():
            child = node.child(name)
            if child is not None and not (not path and name == "metadata"):
                before = old.get(name, ABSENT) if isinstance(old, dict) else ABSENT
                where = f"{path}[{name}]" if name not in node.properties else _below(path, name)
                yield from _broken(item, before, child, where)
    elif isinstance(value, list) and node.items is not None:
        before_by_key = _by_key(old, node.raw)
        for index, item in enumerate(value):
            before = before_by_key.get(_key(item, node.raw), ABSENT)
            yield from _broken(item, before, node.items, f"{path}[{index}]")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _key(item: Any, raw: Mapping[str, Any]) -> str:
    names = raw.get("x-kubernetes-list-map-keys") or ()
    return shown([item.get(name) for name in names]) if isinstance(item, dict) else ""


def _by_key(old: Any, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the elements of a list that can be told apart; elements of others have no past."""
    if not isinstance(old, list) or raw.get("x-kubernetes-list-type") != "map":
        return {}
    return {_key(item, raw): item for item in old}


def _check(value: Any, old: Any, rule: Rule, node: Structural, path: str) -> FieldError | None:
    text = rule["rule"].strip()
    tree = parse_rule(text)
    variables: dict[str, Any] = {"self": value, BUDGET: Budget(MAX_ROUNDS)}
    if "oldSelf" in names_in(tree):
        if rule.get("optionalOldSelf"):
            variables["oldSelf"] = Optional() if old is ABSENT else Optional(old)
        elif old is ABSENT:
            return None  # a rule about changes
        else:
            variables["oldSelf"] = old
    if unknown_functions(tree):
        return None
    try:
        if evaluate(tree, variables) is True:
            return None
        detail = _message(rule, variables) or f"failed rule: {text}"
    except CelError as error:
        told = rule.get("message", "").strip() or text
        detail = f"{error} evaluating rule: {told}"
        kind = shown(node.raw.get("type", ""))
        return FieldError("FieldValueInvalid", path or NOWHERE, f"Invalid value: {kind}: {detail}")
    return _error(rule, node, value, _where(path, rule), detail)


def _message(rule: Rule, variables: dict[str, Any]) -> str:
    if expression := rule.get("messageExpression"):
        try:
            found = evaluate(parse_rule(expression), variables)
        except (CelError, CelSyntaxError):
            found = ""
        if isinstance(found, str) and found.strip() and "\n" not in found:
            return found.strip()
    message: str = rule.get("message", "")
    return message


def _where(path: str, rule: Rule) -> str:
    field: str = rule.get("fieldPath", "")
    if not field:
        return path or NOWHERE
    return f"{path}{field}" if path else field.removeprefix(".")


def _error(rule: Rule, node: Structural, value: Any, path: str, detail: str) -> FieldError:
    match rule.get("reason"):
        case "FieldValueForbidden":
            return forbidden(path, detail)
        case "FieldValueRequired":
            return required(path, detail)
        case "FieldValueDuplicate":
            return duplicate(path, value, detail)
    if node.raw.get("type") in ("object", "array"):
        return FieldError("FieldValueInvalid", path, f"Invalid value: {detail}")
    return FieldError("FieldValueInvalid", path, f"Invalid value: {shown(value)}: {detail}")
