"""Uncalled: the webhooks and admission policies of a cluster that a plan does without.

Nobody is called from here, and expressions may ask for rights and parameters that no plan knows of.
So they are named: what they would change or refuse is not in a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from kubeberth.api.meta import ApiStruct, ObjectMeta
from kubeberth.api.scheme import (
    MUTATING_ADMISSION_POLICIES,
    MUTATING_ADMISSION_POLICY_BINDINGS,
    MUTATING_WEBHOOK_CONFIGURATIONS,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
    Resource,
)
from kubeberth.planner.plan import Uncalled

_ALL = "*"


class Rule(ApiStruct, frozen=True):
    """Writes that are looked at."""

    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()

    def is_about(self, resource: Resource) -> bool:
        """Return whether writes of a resource are among them."""
        groups, plurals = {_ALL, resource.group}, {_ALL, "*/*", resource.plural}
        return not groups.isdisjoint(self.api_groups) and not plurals.isdisjoint(self.resources)


class Webhook(ApiStruct, frozen=True):
    """One of a configuration's webhooks."""

    rules: tuple[Rule, ...] = ()


class WebhookConfiguration(ApiStruct, frozen=True):
    """Webhooks that are called on writes."""

    metadata: ObjectMeta = ObjectMeta()
    webhooks: tuple[Webhook, ...] = ()

    def rules(self) -> Iterator[Rule]:
        """Yield what it looks at."""
        return (rule for webhook in self.webhooks for rule in webhook.rules)


class MatchResources(ApiStruct, frozen=True):
    """What a policy looks at."""

    resource_rules: tuple[Rule, ...] = ()


class PolicySpec(ApiStruct, frozen=True):
    """What a policy looks at, and not what it says to that."""

    match_constraints: MatchResources = MatchResources()


class Policy(ApiStruct, frozen=True):
    """An admission policy; in force where it is bound."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PolicySpec = PolicySpec()

    def rules(self) -> Iterable[Rule]:
        """Return what it looks at."""
        return self.spec.match_constraints.resource_rules


class BindingSpec(ApiStruct, frozen=True):
    """Which policy is bound."""

    policy_name: str = ""


class Binding(ApiStruct, frozen=True):
    """Puts a policy in force."""

    metadata: ObjectMeta = ObjectMeta()
    spec: BindingSpec = BindingSpec()


CALLED: dict[Resource, type[ApiStruct]] = {
    MUTATING_WEBHOOK_CONFIGURATIONS: WebhookConfiguration,
    VALIDATING_WEBHOOK_CONFIGURATIONS: WebhookConfiguration,
    MUTATING_ADMISSION_POLICIES: Policy,
    MUTATING_ADMISSION_POLICY_BINDINGS: Binding,
    VALIDATING_ADMISSION_POLICIES: Policy,
    VALIDATING_ADMISSION_POLICY_BINDINGS: Binding,
}
"""How each kind of them is read."""

_BINDINGS = {
    MUTATING_ADMISSION_POLICIES: MUTATING_ADMISSION_POLICY_BINDINGS,
    VALIDATING_ADMISSION_POLICIES: VALIDATING_ADMISSION_POLICY_BINDINGS,
}
_WEBHOOKS = (MUTATING_WEBHOOK_CONFIGURATIONS, VALIDATING_WEBHOOK_CONFIGURATIONS)


class Held(Protocol):
    """The objects of a cluster."""

    def all(self, resource: Resource) -> Iterator[Any]:
        """Yield all objects of a kind."""


def uncalled(objects: Held, moved: Iterable[Resource]) -> Iterator[Uncalled]:
    """Yield who would be asked about writes of some resources, and is not.

    Parameters
    ----------
    moved
        The resources that a plan writes.
    """
    resources = tuple(moved)
    found = [(resource, item) for resource in _WEBHOOKS for item in objects.all(resource)]
    for resource, bindings in _BINDINGS.items():
        bound = {binding.spec.policy_name for binding in objects.all(bindings)}
        found += [(resource, p) for p in objects.all(resource) if p.metadata.name in bound]
    for resource, item in found:
        if any(rule.is_about(each) for rule in item.rules() for each in resources):
            yield Uncalled(resource.kind, item.metadata.name)
