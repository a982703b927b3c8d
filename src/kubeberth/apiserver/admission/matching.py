"""Which writes a webhook or policy is about: rules, and selectors of labels; pure.

Matches `plugin/webhook/predicates` and `plugin/policy/matching` of k8s.io/apiserver 1.36.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeberth.api.scheme import NAMESPACES, Resource
from kubeberth.api.selectors import EVERYTHING, Selector, from_label_selector
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission.chain import Attributes, Document, Reader

GROUP = "admissionregistration.k8s.io"
ANY = "*"
EQUIVALENT = "Equivalent"

# The other versions of a resource, which show the same objects.
Equivalents = Callable[[Resource], Iterable[Resource]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One `RuleWithOperations`; `*` stands for everything of its list.

    Parameters
    ----------
    names
        Of which objects; empty for any.
    """

    operations: frozenset[str]
    groups: frozenset[str]
    versions: frozenset[str]
    resources: tuple[tuple[str, str], ...]
    scope: str = ANY
    names: frozenset[str] = frozenset()

    def matches(self, operation: str, resource: Resource, sub: str) -> bool:
        """Return whether a kind of write is meant, whatever the object."""
        return (
            (self.scope == ANY or (self.scope == "Namespaced") == resource.namespaced)
            and _is_in(operation, self.operations)
            and _is_in(resource.group, self.groups)
            and _is_in(resource.version, self.versions)
            and any(
                plural in (ANY, resource.plural) and part in (ANY, sub)
                for plural, part in self.resources
            )
        )


def _is_in(value: str, values: frozenset[str]) -> bool:
    return value in values or ANY in values


def to_rule(rule: Mapping[str, Any]) -> Rule:
    """Return the rule that a document holds."""
    parts = (text.partition("/") for text in rule.get("resources") or ())
    return Rule(
        frozenset(rule.get("operations") or ()),
        frozenset(rule.get("apiGroups") or ()),
        frozenset(rule.get("apiVersions") or ()),
        tuple((plural, sub) for plural, _, sub in parts),
        rule.get("scope") or ANY,
        frozenset(rule.get("resourceNames") or ()),
    )


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a webhook, a policy or a binding says of the writes that it is about.

    Parameters
    ----------
    rules
        None for a binding that leaves that to its policy.
    excluded
        Rules that take precedence, of policies.
    """

    rules: tuple[Rule, ...] | None
    excluded: tuple[Rule, ...] = ()
    namespaces: Selector = EVERYTHING
    objects: Selector = EVERYTHING
    is_equivalent: bool = True

    def resource_for(
        self, operation: str, resource: Resource, sub: str, equivalents: Equivalents
    ) -> tuple[Resource, tuple[Rule, ...]] | None:
        """Return the version of a resource that is asked for, and by which rules; None for none.

        This depends on the kind of write alone, and may be remembered.
        """
        if resource.group == GROUP:
            return None  # nobody may lock out the one who mends a webhook
        if self.rules is None:
            return resource, ()
        if found := [rule for rule in self.rules if rule.matches(operation, resource, sub)]:
            return resource, tuple(found)
        if not self.is_equivalent:
            return None
        others = [other for other in equivalents(resource) if other is not resource]
        for rule in self.rules:
            for other in others:
                if rule.matches(operation, other, sub):
                    return other, (rule,)
        return None

    def excludes(self, attributes: Attributes, equivalents: Equivalents) -> bool:
        """Return whether a rule takes a write out."""
        if not self.excluded:
            return False
        resources = [attributes.resource]
        if self.is_equivalent:
            resources += equivalents(attributes.resource)
        return any(
            rule.matches(attributes.operation, resource, attributes.subresource)
            and _names(rule, attributes)
            for rule in self.excluded
            for resource in resources
        )

    def selects(self, attributes: Attributes, reader: Reader) -> bool:
        """Return whether the labels of an object and of its namespace are as asked for.

        Raises
        ------
        NotFoundError
            The namespace is not there.
        """
        if not self.objects.is_everything and not (
            _has(attributes.document, self.objects) or _has(attributes.old, self.objects)
        ):
            return False
        if self.namespaces.is_everything:
            return True
        labels = _namespace_labels(attributes, reader)
        return labels is None or self.namespaces.matches(labels)


def is_named(rules: Iterable[Rule], attributes: Attributes) -> bool:
    """Return whether one of the rules that match is about an object of this name."""
    return any(_names(rule, attributes) for rule in rules)


def _names(rule: Rule, attributes: Attributes) -> bool:
    return not rule.names or attributes.name in rule.names


def _has(document: Document | None, selector: Selector) -> bool:
    if document is None:
        return False
    return selector.matches((document.get("metadata") or {}).get("labels") or {})


def _namespace_labels(attributes: Attributes, reader: Reader) -> Mapping[str, str] | None:
    """Return the labels of the namespace; None when the object is in none."""
    document, name = attributes.document, namespace_of(attributes)
    if attributes.resource is NAMESPACES and document is not None and not attributes.subresource:
        labels: Mapping[str, str] = document["metadata"].get("labels") or {}
        return labels
    if not name:
        return None
    namespace = reader.find(NAMESPACES, "", name)
    if namespace is None:
        raise refusals.not_found(NAMESPACES, name)
    found: Mapping[str, str] = namespace["metadata"].get("labels") or {}
    return found


def namespace_of(attributes: Attributes) -> str:
    """Return the namespace that a write is in: a namespace is in itself."""
    if attributes.resource is NAMESPACES:
        return attributes.told_name
    return attributes.namespace


def webhook_criteria(webhook: Mapping[str, Any]) -> Criteria:
    """Return what a webhook says of the writes that it is about."""
    return Criteria(
        tuple(map(to_rule, webhook.get("rules") or ())),
        namespaces=from_label_selector(webhook.get("namespaceSelector") or {}),
        objects=from_label_selector(webhook.get("objectSelector") or {}),
        is_equivalent=webhook.get("matchPolicy") == EQUIVALENT,
    )


def policy_criteria(resources: Mapping[str, Any] | None) -> Criteria:
    """Return what the `MatchResources` of a policy or a binding say."""
    if resources is None:
        return Criteria(None)
    rules = tuple(map(to_rule, resources.get("resourceRules") or ()))
    return Criteria(
        rules or None,
        tuple(map(to_rule, resources.get("excludeResourceRules") or ())),
        from_label_selector(resources.get("namespaceSelector") or {}),
        from_label_selector(resources.get("objectSelector") or {}),
        resources.get("matchPolicy", EQUIVALENT) == EQUIVALENT,
    )
