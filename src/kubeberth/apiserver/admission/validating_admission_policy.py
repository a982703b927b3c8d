"""ValidatingAdmissionPolicy: rules in CEL that objects must meet.

Rule: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
Matches `plugin/policy/validating` of k8s.io/apiserver 1.36.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubeberth.apiserver.admission.chain import Attributes, Plugin
from kubeberth.apiserver.admission.expressions import ExpressionError, expression_of, hold
from kubeberth.apiserver.admission.policies import Fault, Invocation, Policy, PolicyDesk
from kubeberth.apiserver.admission.registered import Registered
from kubeberth.errors import ForbiddenError

MAX_MESSAGE_BYTES = 5 * 1024
MAX_ANNOTATION_BYTES = 10 * 1024
INVALID = "Invalid"
FAILURE_KEY = "validation.policy.admission.k8s.io/validation_failure"
_CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413, INVALID: 422}


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that an object breaks, or that cannot be evaluated.

    Parameters
    ----------
    index
        Which of the policy's rules.
    """

    message: str
    reason: str = ""
    index: int = 0


class ValidatingAdmissionPolicy(Plugin):
    """Refuses, warns of or notes what breaks a policy."""

    sees_bodies = True

    def __init__(self, policies: Registered[Policy], desk: PolicyDesk) -> None:
        self._policies = policies
        self._desk = desk

    async def validate(self, attributes: Attributes) -> None:
        """Refuse what a policy denies; of several denials the first one is told."""
        concerned = self._policies.concerned(attributes)
        if not concerned:
            return
        denials: list[tuple[Fault | Invocation, Breach]] = []
        for found in self._desk.invocations(attributes, concerned):
            if isinstance(found, Fault):
                if not found.policy.fails_open:
                    denials.append((found, Breach(found.why)))
                continue
            asked = await self._desk.versions.asked(attributes, found.resource)
            variables = self._desk.variables(found, attributes, asked)
            denials += [(found, breach) for breach in _acted_upon(found, attributes, variables)]
        if denials:
            raise _denial(attributes, *denials[0])


def _acted_upon(
    invocation: Invocation, attributes: Attributes, variables: Mapping[str, Any]
) -> Iterator[Breach]:
    """Warn of and note what breaks a policy; yield what is denied."""
    policy = invocation.policy
    try:
        if not hold(policy.conditions, variables, fails_open=policy.fails_open):
            return
    except ExpressionError as error:
        yield from _by_actions(invocation, attributes, Breach(str(error)))
        return
    for breach in _breaches(policy, variables):
        yield from _by_actions(invocation, attributes, breach)
    for annotation in policy.spec.get("auditAnnotations") or ():
        try:
            value = _annotation(annotation, variables)
        except ExpressionError as error:
            if not policy.fails_open:
                yield Breach(str(error))
            continue
        if value:
            key = f"{policy.name}/{annotation.get('key', '')}"
            attributes.note(key, value[:MAX_ANNOTATION_BYTES])


def _by_actions(invocation: Invocation, attributes: Attributes, breach: Breach) -> Iterator[Breach]:
    policy, binding = invocation.policy, invocation.binding
    for action in binding.actions:
        match action:
            case "Deny":
                yield breach
            case "Warn":
                attributes.warnings.append(
                    f"Validation failed for ValidatingAdmissionPolicy '{policy.name}' with "
                    f"binding '{binding.name}': {breach.message}"
                )
            case "Audit":
                value = {
                    "message": breach.message,
                    "policy": policy.name,
                    "binding": binding.name,
                    "expressionIndex": breach.index,
                    "validationActions": list(binding.actions),
                }
                attributes.note(FAILURE_KEY, json.dumps([value], separators=(",", ":")))


def _breaches(policy: Policy, variables: Mapping[str, Any]) -> Iterator[Breach]:
    for index, rule in enumerate(policy.spec.get("validations") or ()):
        expression = rule.get("expression", "")
        try:
            if expression_of(expression).value(variables) is True:
                continue
        except ExpressionError as error:
            if not policy.fails_open:
                yield Breach(str(error), index=index)
            continue
        message = _told(rule, variables) or rule.get("message", "").strip()
        yield Breach(
            message or f"failed expression: {expression.strip()}",
            rule.get("reason") or INVALID,
            index,
        )


def _told(rule: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
    """Return what the rule's message expression says; empty when that is of no use."""
    text = rule.get("messageExpression", "")
    if not text:
        return ""
    try:
        value = expression_of(text).value(variables)
    except ExpressionError:
        return ""
    message = value.strip() if isinstance(value, str) else ""
    is_useful = "\n" not in message and len(message.encode()) <= MAX_MESSAGE_BYTES
    return message if is_useful else ""


def _annotation(annotation: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
    """Return the value of an audit annotation; empty for none."""
    text = annotation.get("valueExpression", "")
    value = expression_of(text).value(variables)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ExpressionError(
            f"valueExpression '{text}' resulted in unsupported return type: "
            f"{type(value).__name__}. Return type must be either string or null."
        )
    return value.strip()


def _denial(attributes: Attributes, found: Fault | Invocation, breach: Breach) -> ForbiddenError:
    by = f" with binding '{found.binding.name}'" if found.binding is not None else ""
    message = (
        f"ValidatingAdmissionPolicy '{found.policy.name}'{by} denied request: {breach.message}"
    )
    error = attributes.forbid(message, [{"message": message}])
    error.reason = breach.reason or INVALID
    error.code = _CODES.get(error.reason, 422)
    return error
