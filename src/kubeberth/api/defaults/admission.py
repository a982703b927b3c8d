"""Defaults of who looks at writes: webhooks and admission policies.

Matches `pkg/apis/admissionregistration/v1/defaults.go` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.defaults.pods import Document

WEBHOOK_PORT = 443
_WEBHOOK_TIMEOUT_SECONDS = 10


def default_mutating_webhooks(configuration: Document) -> None:
    """Set the defaults of webhooks that change objects."""
    default_webhooks(configuration)
    for webhook in configuration.get("webhooks") or ():
        webhook.setdefault("reinvocationPolicy", "Never")


def default_webhooks(configuration: Document) -> None:
    """Set the defaults of webhooks."""
    for webhook in configuration.get("webhooks") or ():
        webhook.setdefault("failurePolicy", "Fail")
        webhook.setdefault("timeoutSeconds", _WEBHOOK_TIMEOUT_SECONDS)
        _default_matching(webhook)
        _default_rules(webhook, "rules")
        if (service := (webhook.get("clientConfig") or {}).get("service")) is not None:
            service.setdefault("port", WEBHOOK_PORT)


def default_policy(policy: Document) -> None:
    """Set the defaults of a policy."""
    spec = policy.setdefault("spec", {})
    spec.setdefault("failurePolicy", "Fail")
    _default_resources(spec.get("matchConstraints"))


def default_binding(binding: Document) -> None:
    """Set the defaults of a policy's binding."""
    spec = binding.setdefault("spec", {})
    _default_resources(spec.get("matchResources"))
    if (reference := spec.get("paramRef")) is not None:
        reference.setdefault("parameterNotFoundAction", "Deny")


def _default_resources(resources: Document | None) -> None:
    if resources is not None:
        _default_matching(resources)
        _default_rules(resources, "resourceRules")
        _default_rules(resources, "excludeResourceRules")


def _default_matching(criteria: Document) -> None:
    criteria.setdefault("matchPolicy", "Equivalent")
    criteria.setdefault("namespaceSelector", {})
    criteria.setdefault("objectSelector", {})


def _default_rules(holder: Document, name: str) -> None:
    for rule in holder.get(name) or ():
        rule.setdefault("scope", "*")
