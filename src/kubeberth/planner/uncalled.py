"""Uncalled: the webhooks and admission policies of a cluster that a plan does without.

Nobody is called from here, and some policies go by what no plan knows (see `policies.py`). They are
named: what they would change or refuse is not in a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import msgspec

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
from kubeberth.api.workloads import Object
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


CALLED: dict[Resource, type[ApiStruct]] = {
    MUTATING_WEBHOOK_CONFIGURATIONS: WebhookConfiguration,
    VALIDATING_WEBHOOK_CONFIGURATIONS: WebhookConfiguration,
    MUTATING_ADMISSION_POLICIES: Object,
    MUTATING_ADMISSION_POLICY_BINDINGS: Object,
    VALIDATING_ADMISSION_POLICIES: Object,
    VALIDATING_ADMISSION_POLICY_BINDINGS: Object,
}
"""How each kind of them is read."""

_POLICIES = {
    resource.kind: resource
    for resource in (MUTATING_ADMISSION_POLICIES, VALIDATING_ADMISSION_POLICIES)
}
_WEBHOOKS = (MUTATING_WEBHOOK_CONFIGURATIONS, VALIDATING_WEBHOOK_CONFIGURATIONS)


class Held(Protocol):
    """The objects of a cluster."""

    def all(self, resource: Resource) -> Iterator[Any]:
        """Yield all objects of a kind."""

    def find(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """Return an object as JSON, or None."""

    def unanswered_policies(self) -> Iterator[Uncalled]:
        """Yield the admission policies in force that are not asked, or not about everything."""


def uncalled(objects: Held, moved: Iterable[Resource]) -> Iterator[Uncalled]:
    """Yield who would be asked about writes of some resources, and is not.

    Parameters
    ----------
    moved
        The resources that a plan writes.
    """
    resources = tuple(moved)
    looking = [
        (Uncalled(resource.kind, item.metadata.name), item.rules())
        for resource in _WEBHOOKS
        for item in objects.all(resource)
    ]
    looking += [(policy, _rules_of(objects, policy)) for policy in objects.unanswered_policies()]
    for one, rules in looking:
        if any(rule.is_about(each) for rule in rules for each in resources) or one.about:
            yield one


def _rules_of(objects: Held, named: Uncalled) -> Iterator[Rule]:
    """Yield what a policy looks at."""
    policy = objects.find(_POLICIES[named.kind], "", named.name) or {}
    constraints = (policy.get("spec") or {}).get("matchConstraints") or {}
    return (msgspec.convert(rule, Rule) for rule in constraints.get("resourceRules") or ())
