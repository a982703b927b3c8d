"""Params: which objects admission policies have as parameters.

A policy says of which kind they are (`paramKind`), each of its bindings which ones (`paramRef`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubeberth.api.scheme import (
    MUTATING_ADMISSION_POLICIES,
    MUTATING_ADMISSION_POLICY_BINDINGS,
    SECRETS,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
)
from kubeberth.api.selectors import Selector, from_label_selector

BINDINGS = {
    MUTATING_ADMISSION_POLICIES: MUTATING_ADMISSION_POLICY_BINDINGS,
    VALIDATING_ADMISSION_POLICIES: VALIDATING_ADMISSION_POLICY_BINDINGS,
}
"""By which kind the policies of a kind are put in force."""

POLICY_KINDS = frozenset((*BINDINGS, *BINDINGS.values()))


@dataclass(frozen=True, slots=True)
class Param:
    """What a binding says of the parameters of its policy.

    Parameters
    ----------
    name
        Of one object; empty where labels say which ones.
    namespace
        Where they are; empty where they are in the namespace of what is looked at, or in none.
    """

    api_version: str
    kind: str
    name: str
    namespace: str
    labels: Selector


def params_of(documents: Iterable[Mapping[str, Any]]) -> Iterator[Param]:
    """Yield which parameters the policies among some objects have, where they are bound.

    Secrets are nothing that a plan reads.
    """
    given = list(documents)
    for resource, bindings in BINDINGS.items():
        kinds = {
            _name_of(policy): kind
            for policy in given
            if policy.get("kind") == resource.kind
            and isinstance(kind := _spec_of(policy).get("paramKind"), Mapping)
            and kind.get("kind") != SECRETS.kind
        }
        for binding in given if kinds else ():
            spec = _spec_of(binding)
            reference, policy_name = spec.get("paramRef"), spec.get("policyName")
            if binding.get("kind") != bindings.kind or policy_name not in kinds:
                continue
            if not isinstance(reference, Mapping):
                continue
            kind = kinds[policy_name]
            yield Param(
                str(kind.get("apiVersion")),
                str(kind.get("kind")),
                reference.get("name") or "",
                reference.get("namespace") or "",
                from_label_selector(_mapping(reference.get("selector"))),
            )


def is_param(document: Mapping[str, Any], param: Param) -> bool:
    """Return whether an object is one of some parameters."""
    kind = document.get("apiVersion"), document.get("kind")
    meta = document.get("metadata")
    if kind != (param.api_version, param.kind) or not isinstance(meta, Mapping):
        return False
    return (
        param.name in ("", meta.get("name"))
        and param.namespace in ("", meta.get("namespace"))
        and param.labels.matches(meta.get("labels") or {})
    )


def _name_of(document: Mapping[str, Any]) -> str:
    meta = document.get("metadata")
    return str(meta.get("name")) if isinstance(meta, Mapping) else ""


def _spec_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(document.get("spec"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
