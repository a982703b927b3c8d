"""MutatingAdmissionPolicy: expressions in CEL that change objects.

Rule: https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
Matches `plugin/policy/mutating` of k8s.io/apiserver 1.36.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kubeberth.api.json_syntax import parse_json
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin
from kubeberth.apiserver.admission.changing import decoded, patched, put_changed
from kubeberth.apiserver.admission.expressions import ExpressionError, expression_of, hold
from kubeberth.apiserver.admission.policies import Fault, Invocation, Policy, PolicyDesk
from kubeberth.apiserver.admission.registered import Registered
from kubeberth.apiserver.admission.review import JSON_PATCH, Asked
from kubeberth.apiserver.managed_fields.merge import merge
from kubeberth.apiserver.managed_fields.shape import LIST, MAP, Shape, shape_of
from kubeberth.apiserver.managed_fields.tracking import endpoint_of
from kubeberth.apiserver.objects import encode
from kubeberth.apiserver.patch.json_patch import JSONPatchTestError
from kubeberth.apiserver.patching import without_entries
from kubeberth.errors import ForbiddenError, InternalError

INVALID = "Invalid"
# What makes the values of types in expressions.
_TYPES = {"Object{}": lambda name, fields: fields, "JSONPatch{}": lambda name, fields: fields}


class MutatingAdmissionPolicy(Plugin):
    """Changes objects as the policies say that they fall under."""

    sees_bodies = True

    def __init__(self, policies: Registered[Policy], desk: PolicyDesk) -> None:
        self._policies = policies
        self._desk = desk

    async def admit(self, attributes: Attributes) -> None:
        """Let every policy change the object, one after another."""
        concerned = self._policies.concerned(attributes)
        if not concerned:
            return
        record = attributes.record_of(self)
        # Whoever looks again may have changed the object, too.
        if attributes.is_second_round and record.output != encode(attributes.document):
            record.require()
        faults: list[tuple[Fault | Invocation, str, str]] = []
        for found in list(self._desk.invocations(attributes, concerned)):
            if isinstance(found, Fault):
                faults.append((found, found.why, ""))
                continue
            if attributes.is_second_round and found.key not in record.due:
                continue
            try:
                is_changed = await self._is_changed_by(found, attributes)
            except ExpressionError as error:
                faults.append((found, str(error), INVALID))
                continue
            if is_changed:
                record.require()
                attributes.wants_second_round = True
            if found.policy.spec.get("reinvocationPolicy") == "IfNeeded":
                record.reinvocable.add(found.key)
        record.output = encode(attributes.document)
        if faults := [fault for fault in faults if not fault[0].policy.fails_open]:
            raise _denial(attributes, faults)

    async def _is_changed_by(self, invocation: Invocation, attributes: Attributes) -> bool:
        """Apply the mutations of a policy; return whether they changed anything."""
        policy = invocation.policy
        asked = await self._desk.versions.asked(attributes, invocation.resource)
        variables = self._desk.variables(invocation, attributes, asked)
        if not hold(policy.conditions, variables, fails_open=policy.fails_open):
            return False
        is_changed = False
        for mutation in policy.spec.get("mutations") or ():
            if asked.document is None:
                return False
            new = _mutated(mutation, asked, attributes.subresource, {**variables, **_TYPES})
            if without_entries(new) == without_entries(asked.document):
                continue
            is_changed = True
            await put_changed(self._desk.versions, attributes, asked.resource, new)
            asked = await self._desk.versions.asked(attributes, invocation.resource)
            variables = self._desk.variables(invocation, attributes, asked)
        return is_changed


def _mutated(
    mutation: Mapping[str, Any], asked: Asked, sub: str, variables: Mapping[str, Any]
) -> Document:
    """Return an object as a mutation leaves it.

    Raises
    ------
    ExpressionError
        The mutation says nothing that can be done.
    """
    document = asked.document or {}
    if mutation.get("patchType") == JSON_PATCH:
        operations = _value(mutation.get("jsonPatch"), variables)
        if not isinstance(operations, list):
            raise ExpressionError(
                "type mismatch: JSONPatchType.expression should evaluate to array"
            )
        try:
            return patched(asked, sub, operations)
        except JSONPatchTestError:
            return document  # not meant for this object
        except InternalError as error:
            raise ExpressionError(f"JSONPath: {_why(error)}") from error
    config = _value(mutation.get("applyConfiguration"), variables)
    if not isinstance(config, dict):
        raise ExpressionError(f"invalid return type: {type(config).__name__}")
    shape = _shape_of(asked)
    if atomics := list(_atomics(shape, config, "")):
        raise ExpressionError(
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps "
            f"or structs: {', '.join(atomics)}"
        )
    try:
        return decoded(asked.resource, sub, merge(shape, without_entries(document), config))
    except InternalError as error:
        raise ExpressionError(f"error applying patch: {_why(error)}") from error


def _why(error: InternalError) -> str:
    why: str = error.details["causes"][0]["message"]
    return why


def _value(part: Mapping[str, Any] | None, variables: Mapping[str, Any]) -> Any:
    """Return what an expression makes, as JSON of its own: it may hold parts of what it saw."""
    value = expression_of((part or {}).get("expression", "")).value(variables)
    try:
        return parse_json(encode(value))
    except (TypeError, ValueError) as error:
        raise ExpressionError(
            f"evaluated to a type that could not marshal to JSON: {error}"
        ) from error


def _shape_of(asked: Asked) -> Shape:
    if asked.resource.custom is not None:
        return endpoint_of(asked.resource).shape
    return shape_of(*asked.kind)


def _atomics(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Yield where a configuration sets something that can only be replaced as a whole."""
    if isinstance(value, dict) and shape.code == MAP:
        if shape.is_atomic:
            yield path
        for name, item in value.items():
            yield from _atomics(shape.child(name), item, f"{path}.{name}")
    elif isinstance(value, list) and shape.code == LIST:
        if shape.is_atomic:
            yield path
        for index, item in enumerate(value):
            yield from _atomics(shape.element, item, f"{path}[{index}]")


def _denial(
    attributes: Attributes, faults: list[tuple[Fault | Invocation, str, str]]
) -> ForbiddenError:
    texts = [_text(found, why) for found, why, _ in faults]
    error = attributes.forbid("", [{"message": text} for text in texts])
    error.message = texts[0]
    if reason := faults[0][2]:
        error.reason = reason
    return error


def _text(found: Fault | Invocation, why: str) -> str:
    name, binding = found.policy.name, found.binding
    if binding is None:
        return f'policy "{name}" denied request: {why}'
    return f"policy '{name}' with binding '{binding.name}' denied request: {why}"
