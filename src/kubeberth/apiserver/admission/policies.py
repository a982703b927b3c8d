"""Admission policies: which are registered and bound, and which of them a write falls under.

Matches `plugin/policy/generic` of k8s.io/apiserver 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubeberth.api.scheme import NAMESPACES, Resource
from kubeberth.api.selectors import from_label_selector
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission.chain import Attributes, Document, Reader
from kubeberth.apiserver.admission.expressions import (
    Condition,
    Expression,
    Variables,
    conditions_of,
    expression_of,
    variables_of,
)
from kubeberth.apiserver.admission.matching import (
    Criteria,
    is_named,
    namespace_of,
    policy_criteria,
)
from kubeberth.apiserver.admission.registered import Concerned
from kubeberth.apiserver.admission.review import Asked
from kubeberth.apiserver.admission.versions import Versions
from kubeberth.apiserver.auth.rbac import Authorizer

# What expressions see of a namespace's metadata.
_NAMESPACE_METADATA = (
    "name",
    "generateName",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "finalizers",
)


class ConfigurationError(Exception):
    """A policy or binding cannot be put into force; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """Puts a policy into force, for some of the writes that it is about.

    Parameters
    ----------
    params
        Its `ParamRef`; None for none.
    actions
        What happens to a write that breaks a validating policy.
    """

    name: str
    criteria: Criteria
    params: Mapping[str, Any] | None
    actions: Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A policy of either kind, with its bindings.

    Parameters
    ----------
    spec
        The rest of what it says.
    """

    name: str
    criteria: Criteria
    param_kind: Mapping[str, Any] | None
    conditions: tuple[Condition, ...]
    variables: Mapping[str, Expression]
    fails_open: bool
    bindings: tuple[Binding, ...]
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Invocation:
    """A policy that a write falls under, by one binding, with one set of parameters.

    Parameters
    ----------
    resource
        In which version the policy wants to see the object.
    params
        None for a policy without.
    """

    policy: Policy
    binding: Binding
    resource: Resource
    params: Document | None

    @property
    def key(self) -> str:
        """What tells it from all others."""
        metadata = (self.params or {}).get("metadata") or {}
        params = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        return f"{self.policy.name}/{self.binding.name}/{params}"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a policy, or one of its bindings, could not be asked."""

    policy: Policy
    binding: Binding | None
    why: str


def read_policies(reader: Reader, policies: Resource, bindings: Resource) -> list[Policy]:
    """Return the policies that are bound, by name."""
    by_policy: dict[str, list[Binding]] = {}
    for document in sorted(reader.find_all(bindings), key=_name_of):
        spec = document.get("spec") or {}
        binding = Binding(
            _name_of(document),
            policy_criteria(spec.get("matchResources")),
            spec.get("paramRef"),
            spec.get("validationActions") or (),
        )
        by_policy.setdefault(spec.get("policyName", ""), []).append(binding)
    return [
        _policy(document, by_policy[name])
        for document in sorted(reader.find_all(policies), key=_name_of)
        if (name := _name_of(document)) in by_policy
    ]


def _name_of(document: Document) -> str:
    name: str = document["metadata"]["name"]
    return name


def _policy(document: Document, bindings: Iterable[Binding]) -> Policy:
    spec = document.get("spec") or {}
    return Policy(
        _name_of(document),
        policy_criteria(spec.get("matchConstraints") or {}),
        spec.get("paramKind"),
        conditions_of(spec.get("matchConditions")),
        {
            item.get("name", ""): expression_of(item.get("expression", ""))
            for item in spec.get("variables") or ()
        },
        spec.get("failurePolicy") == "Ignore",
        tuple(bindings),
        spec,
    )


class PolicyDesk:
    """Finds out which policies a write falls under, and what their expressions see."""

    def __init__(self, reader: Reader, versions: Versions, authorizer: Authorizer) -> None:
        self._reader = reader
        self.versions = versions
        self._authorizer = authorizer

    def invocations(
        self, attributes: Attributes, concerned: Sequence[Concerned[Policy]]
    ) -> Iterator[Invocation | Fault]:
        """Yield what a write falls under, and what stands in the way of that."""
        for policy, resource, rules in concerned:
            if not self._is_met(policy.criteria, rules, attributes):
                continue
            try:
                param_resource = self._param_resource(policy)
            except ConfigurationError as error:
                yield Fault(policy, None, f"failed to configure policy: {error}")
                continue
            for binding in policy.bindings:
                if not self._is_bound(binding, attributes):
                    continue
                try:
                    found = self._params(binding, param_resource, attributes)
                except ConfigurationError as error:
                    yield Fault(policy, binding, f"failed to configure binding: {error}")
                    continue
                for params in found:
                    yield Invocation(policy, binding, resource, params)

    def _is_met(self, criteria: Criteria, rules: Sequence[Any], attributes: Attributes) -> bool:
        return (
            (not rules or is_named(rules, attributes))
            and criteria.selects(attributes, self._reader)
            and not criteria.excludes(attributes, self.versions.equivalents)
        )

    def _is_bound(self, binding: Binding, attributes: Attributes) -> bool:
        criteria = binding.criteria
        match = criteria.resource_for(
            attributes.operation,
            attributes.resource,
            attributes.subresource,
            self.versions.equivalents,
        )
        return match is not None and self._is_met(criteria, match[1], attributes)

    def _param_resource(self, policy: Policy) -> Resource | None:
        kind = policy.param_kind
        if kind is None:
            return None
        wanted = (kind.get("apiVersion", ""), kind.get("kind", ""))
        for resource in self.versions.catalogue().resources:
            if (resource.api_version, resource.kind) == wanted:
                return resource
        api_version = wanted[0] if "/" in wanted[0] else f"/{wanted[0]}"
        raise ConfigurationError(
            f"failed to find resource referenced by paramKind: '{api_version}, Kind={wanted[1]}'"
        )

    def _params(
        self, binding: Binding, resource: Resource | None, attributes: Attributes
    ) -> list[Document | None]:
        """Return the parameters of a binding; one None for a policy without."""
        reference = binding.params
        if resource is None or reference is None:
            return [None]
        namespace = ""
        if resource.namespaced:
            namespace = reference.get("namespace") or namespace_of(attributes)
            if not namespace:
                raise ConfigurationError(
                    "cannot use namespaced paramRef in policy binding that matches cluster-scoped "
                    "resources"
                )
        elif reference.get("namespace"):
            raise ConfigurationError(
                "paramRef.namespace must not be provided for a cluster-scoped `paramKind`"
            )
        found = self._found(resource, namespace, reference)
        if not found and reference.get("parameterNotFoundAction") == "Deny":
            raise ConfigurationError(
                "no params found for policy binding with `Deny` parameterNotFoundAction"
            )
        return found

    def _found(
        self, resource: Resource, namespace: str, reference: Mapping[str, Any]
    ) -> list[Document | None]:
        if name := reference.get("name"):
            params = self._reader.find(resource, namespace, name)
            return [] if params is None else [params]
        selector = from_label_selector(reference.get("selector"))
        return [
            params
            for params in self._reader.find_all(resource, namespace)
            if selector.matches(params["metadata"].get("labels") or {})
        ]

    def variables(
        self, invocation: Invocation, attributes: Attributes, asked: Asked
    ) -> dict[str, Any]:
        """Return what the expressions of a policy see of a write.

        Raises
        ------
        NotFoundError
            The namespace is not there.
        """
        seen = variables_of(attributes, asked, self._authorizer)
        seen["namespaceObject"] = self._namespace(attributes)
        if invocation.policy.param_kind is not None:
            seen["params"] = invocation.params
        seen["variables"] = Variables(invocation.policy.variables, seen)
        return seen

    def _namespace(self, attributes: Attributes) -> Document | None:
        name = attributes.namespace
        if not name or attributes.resource is NAMESPACES:
            return None
        namespace = self._reader.find(NAMESPACES, "", name)
        if namespace is None:
            raise refusals.not_found(NAMESPACES, name)
        metadata = namespace["metadata"]
        kept = {field: metadata[field] for field in _NAMESPACE_METADATA if field in metadata}
        return {**namespace, "metadata": kept}
