"""Nobody gives away rights that they do not have: checked when roles and bindings are written.

Upstream does this in the stores of `pkg/registry/rbac/*/policybased` of Kubernetes 1.36; here it
is one more plugin, the last one before validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeberth.api.scheme import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission.chain import Attributes, Plugin
from kubeberth.apiserver.auth.authn import MASTERS, User
from kubeberth.apiserver.auth.coverage import lacking_of
from kubeberth.apiserver.auth.rbac import EVERY_PATH, EVERYTHING, Authorizer, PolicyRule
from kubeberth.apiserver.auth.stored_policy import StoredPolicy, to_rule
from kubeberth.apiserver.route import Query, RequestInfo

Document = Mapping[str, Any]
_ROLES = (CLUSTER_ROLES, ROLES)
_BINDINGS = (CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS)


class RbacEscalation(Plugin):
    """Refuses roles and bindings that give more than their writer has."""

    resources = (*_ROLES, *_BINDINGS)

    def __init__(self, policy: StoredPolicy, authorizer: Authorizer) -> None:
        self._policy = policy
        self._authorizer = authorizer

    async def admit(self, attributes: Attributes) -> None:
        """Compare what is given with what the writer has."""
        document, resource = attributes.document, attributes.resource
        if document is None or MASTERS in attributes.user.groups:
            return
        if resource in _ROLES and not self._may(attributes, "escalate", resource.plural):
            self._check(attributes, document.get("rules") or ())
            # Who says what a role gathers may gather anything.
            gathers = (found.get("aggregationRule") for found in (document, attributes.old or {}))
            if any(gathers) and not self._may_everything(attributes.user):
                raise attributes.forbid(
                    "must have cluster-admin privileges to use the aggregationRule"
                )
        elif resource in _BINDINGS:
            self._check_binding(attributes, document.get("roleRef") or {})

    def _check_binding(self, attributes: Attributes, role: Document) -> None:
        kind, name = role.get("kind", ""), role.get("name", "")
        plural = ROLES.plural if kind == ROLES.kind else CLUSTER_ROLES.plural
        if self._may(attributes, "bind", plural, name):
            return
        rules = self._policy.rules_of_role(kind, attributes.namespace, name)
        if rules is None:
            raise refusals.not_found(attributes.resource, name)
        self._check(attributes, rules)

    def _may(self, attributes: Attributes, verb: str, plural: str, name: str = "") -> bool:
        info = RequestInfo(
            method="",
            path="",
            query=Query(""),
            verb=verb,
            group=ROLES.group,
            version=ROLES.version,
            plural=plural,
            namespace=attributes.namespace,
            name=name or attributes.name,
        )
        return self._authorizer.allows(attributes.user, info)

    def _may_everything(self, user: User) -> bool:
        own = self._authorizer.rules_of(user, "")
        return not any(True for rule in (EVERYTHING, EVERY_PATH) for _ in lacking_of(rule, own))

    def _check(self, attributes: Attributes, rules: Iterable[Document]) -> None:
        own = self._authorizer.rules_of(attributes.user, attributes.namespace)
        missing = sorted(
            _shown(lacking) for rule in rules for lacking in lacking_of(to_rule(rule), own)
        )
        if missing:
            raise attributes.forbid(
                f"{_who(attributes.user)} is attempting to grant RBAC permissions not currently "
                "held:\n" + "\n".join(dict.fromkeys(missing))
            )


def _who(user: User) -> str:
    groups = " ".join(f'"{group}"' for group in user.group_list)
    return f'user "{user.name}" (groups=[{groups}])'


def _shown(rule: PolicyRule) -> str:
    """Return a rule as upstream prints it."""
    parts = [
        f"{title}:[{' '.join(f'{chr(34)}{value}{chr(34)}' for value in sorted(values))}]"
        for title, values in (
            ("APIGroups", rule.api_groups),
            ("Resources", rule.resources),
            ("ResourceNames", rule.resource_names),
            ("NonResourceURLs", rule.non_resource_urls),
            ("Verbs", rule.verbs),
        )
        if values
    ]
    return "{" + ", ".join(parts) + "}"
