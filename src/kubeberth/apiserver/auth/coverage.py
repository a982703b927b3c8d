"""Which rules go beyond others.

Matches `k8s.io/component-helpers/auth/rbac/validation` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from kubeberth.apiserver.auth.rbac import PolicyRule


def lacking_of(rule: PolicyRule, own: Sequence[PolicyRule]) -> Iterator[PolicyRule]:
    """Yield what of a rule none of others covers, by resource."""
    for part in _parts(rule):
        verbs = frozenset(verb for verb in part.verbs if not _is_covered(part, verb, own))
        if verbs:
            yield replace(part, verbs=verbs)


def _parts(rule: PolicyRule) -> Iterator[PolicyRule]:
    for url in sorted(rule.non_resource_urls):
        yield PolicyRule(rule.verbs, non_resource_urls=frozenset((url,)))
    for group in sorted(rule.api_groups):
        for resource in sorted(rule.resources):
            for name in sorted(rule.resource_names) or [""]:
                names = frozenset((name,)) if name else frozenset()
                yield PolicyRule(rule.verbs, frozenset((group,)), frozenset((resource,)), names)


def _is_covered(part: PolicyRule, verb: str, own: Iterable[PolicyRule]) -> bool:
    return any(_covers(rule, part, verb) for rule in own)


def _covers(rule: PolicyRule, part: PolicyRule, verb: str) -> bool:
    if not {"*", verb} & rule.verbs:
        return False
    if part.non_resource_urls:
        (url,) = part.non_resource_urls
        return any(
            known in ("*", url) or (known.endswith("*") and url.startswith(known[:-1]))
            for known in rule.non_resource_urls
        )
    (group,), (resource,) = part.api_groups, part.resources
    subresource = resource.partition("/")[2]
    resources = {"*", resource, *([f"*/{subresource}"] if subresource else [])}
    has_names = not rule.resource_names or (
        bool(part.resource_names) and part.resource_names <= rule.resource_names
    )
    return bool({"*", group} & rule.api_groups and resources & rule.resources) and has_names
