"""Tells in the status of a validating policy which fields its expressions read in vain.

Rule 1: each generation is looked at once.
Rule 2: only kinds that a rule names in full are looked at, ten at most.
Rule 3: what is wrong is a warning: the policy is in force all the same.

Matches `pkg/controller/validatingadmissionpolicystatus` of Kubernetes 1.36, as far as it is about
fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import msgspec

from kubeberth.api.cel.field_types import field_errors, type_of_kind
from kubeberth.api.cel.syntax import CelSyntaxError
from kubeberth.api.meta import ApiStruct, ObjectMeta
from kubeberth.api.scheme import RESOURCES, VALIDATING_ADMISSION_POLICIES, Resource
from kubeberth.controllers.action import Failure, Outcome, PatchObject
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler

MAX_KINDS = 10
_ANY = "*"
_EXPRESSIONS = ("expression", "messageExpression")


class ValidatingPolicy(ApiStruct, frozen=True):
    """A validating admission policy; what it says stays as it came."""

    metadata: ObjectMeta = ObjectMeta()
    spec: dict[str, Any] = {}
    status: dict[str, Any] = {}


decode_validating_policy = msgspec.json.Decoder(ValidatingPolicy).decode
_BY_NAME = {(r.group, r.version, r.plural): r for r in RESOURCES}


def reconcile_policy(policy: ValidatingPolicy) -> Outcome:
    """Return the status of a policy that was not looked at since it changed."""
    generation = policy.metadata.generation
    if policy.status.get("observedGeneration") == generation:
        return Outcome()
    warnings = list(warnings_of(policy.spec)) or None
    checking = {"expressionWarnings": warnings}
    status = {"observedGeneration": generation, "typeChecking": checking}
    target = ref_of(VALIDATING_ADMISSION_POLICIES, policy)
    return Outcome((PatchObject(target, {"status": status}, sub="status", if_present=True),))


def warnings_of(spec: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Yield an `ExpressionWarning` for each expression that reads what is not there."""
    kinds = list(_kinds_of(spec))[:MAX_KINDS]
    for index, validation in enumerate(spec.get("validations") or ()):
        for field in _EXPRESSIONS:
            if told := _told_of(validation.get(field, ""), kinds):
                yield {"fieldRef": f"spec.validations[{index}].{field}", "warning": told}


def _told_of(text: str, kinds: list[Resource]) -> str:
    lines: list[str] = []
    for resource in kinds:
        kind = type_of_kind(resource.api_version, resource.kind)
        try:
            errors = field_errors(text, {"object": kind, "oldObject": kind}) if text else []
        except CelSyntaxError:
            return ""  # was refused when it was written
        if errors:
            lines.append(f"{resource.api_version}, Kind={resource.kind}: " + "\n".join(errors))
    return "\n".join(lines)


def _kinds_of(spec: dict[str, Any]) -> Iterator[Resource]:
    """Yield the kinds that a policy's rules name, each once."""
    seen: set[Resource] = set()
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        parts = [rule.get(field) or () for field in ("apiGroups", "apiVersions", "resources")]
        for name in product(*parts):
            resource = None if _ANY in name else _BY_NAME.get(name)
            if resource is not None and resource not in seen:
                seen.add(resource)
                yield resource


class PolicyTypeCheckingReconciler(Reconciler):
    """Feeds `reconcile_policy` from the cache; keys are policies."""

    name = "validatingadmissionpolicy-status-controller"
    account = "validatingadmissionpolicy-status-controller"
    resource = VALIDATING_ADMISSION_POLICIES

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what to tell of a policy."""
        policy: ValidatingPolicy | None = cache.get(VALIDATING_ADMISSION_POLICIES, key)
        return Outcome() if policy is None else reconcile_policy(policy)
