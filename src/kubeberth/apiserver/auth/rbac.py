"""What a user may do: rules, roles and bindings, evaluated as RBAC evaluates them.

Allow only; everything that no rule allows is denied.
Matches `plugin/pkg/auth/authorizer/rbac` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kubeberth.apiserver.auth.authn import MASTERS, SERVICE_ACCOUNT, User
from kubeberth.apiserver.route import NO_DETAILS, RequestInfo
from kubeberth.errors import ForbiddenError


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One permission; `*` stands for everything of its list."""

    verbs: frozenset[str]
    api_groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    resource_names: frozenset[str] = frozenset()
    non_resource_urls: frozenset[str] = frozenset()

    def allows(self, info: RequestInfo) -> bool:
        """Return whether the rule covers the request."""
        if not ("*" in self.verbs or info.verb in self.verbs):
            return False
        return self._allows_resource(info) if info.is_resource else self._allows_path(info.path)

    def _allows_resource(self, info: RequestInfo) -> bool:
        if not ("*" in self.api_groups or info.group in self.api_groups):
            return False
        if self.resource_names and info.name not in self.resource_names:
            return False
        resources = self.resources
        if "*" in resources:
            return True
        if not info.subresource:
            return info.plural in resources
        return (
            f"{info.plural}/{info.subresource}" in resources or f"*/{info.subresource}" in resources
        )

    def _allows_path(self, path: str) -> bool:
        return any(
            url in ("*", path) or (url.endswith("*") and path.startswith(url[:-1]))
            for url in self.non_resource_urls
        )


EVERYTHING = PolicyRule(frozenset("*"), frozenset("*"), frozenset("*"))
EVERY_PATH = PolicyRule(frozenset("*"), non_resource_urls=frozenset("*"))


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request is allowed, and why, or why not; RBAC never says why not."""

    is_allowed: bool
    reason: str = ""


ALLOWED, NO_OPINION = Decision(True), Decision(False)


@dataclass(frozen=True, slots=True)
class Grant:
    """Rules that somebody has, and what is decided when one of them covers a request."""

    rules: tuple[PolicyRule, ...]
    decision: Decision


@dataclass(frozen=True, slots=True)
class RoleBinding:
    """A role given to users and groups, in one namespace or (None) everywhere.

    Parameters
    ----------
    users
        Names of users, those of service accounts in their long form.
    name
        The binding's own; empty for that of its role.
    """

    role: str
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    namespace: str | None = None
    name: str = ""
    role_kind: str = "ClusterRole"

    def grant(self, user: User, rules: tuple[PolicyRule, ...]) -> Grant:
        """Return what one of the subjects has by this, the rules being those of the role."""
        return Grant(rules, Decision(True, self._reason(user)))

    def _reason(self, user: User) -> str:
        name = self.name or self.role
        if self.namespace is None:
            binding = f'ClusterRoleBinding "{name}"'
        else:
            binding = f'RoleBinding "{name}/{self.namespace}"'
        return (
            f'RBAC: allowed by {binding} of {self.role_kind} "{self.role}" to {self._subject(user)}'
        )

    def _subject(self, user: User) -> str:
        if user.name not in self.users:
            group = next(group for group in user.group_list if group in self.groups)
            return f'Group "{group}"'
        if not user.name.startswith(SERVICE_ACCOUNT):
            return f'User "{user.name}"'
        namespace, _, account = user.name.removeprefix(SERVICE_ACCOUNT).partition(":")
        return f'ServiceAccount "{account}/{namespace}"'


class Policy(Protocol):
    """Who was given what; see `stored_policy`."""

    def grants(self, user: User, namespace: str) -> Sequence[Grant]:
        """Return what a user was given, everywhere and in a namespace."""


class Opinion(Protocol):
    """Somebody who is asked before RBAC: see `node_authorizer`."""

    def decide(self, user: User, info: RequestInfo) -> Decision:
        """Return whether a request is allowed, or why not; RBAC may still allow it."""


class Authorizer:
    """Decides by the bindings of a policy; `system:masters` may do everything.

    Parameters
    ----------
    nodes
        What nodes may do besides.
    """

    def __init__(self, policy: Policy, nodes: Opinion | None = None) -> None:
        self._policy = policy
        self._nodes = nodes

    def authorize(self, user: User, info: RequestInfo) -> None:
        """Let the request pass, or raise.

        Raises
        ------
        ForbiddenError
            No rule allows it.
        """
        decision = self.decide(user, info)
        if not decision.is_allowed:
            raise forbidden(user, info, decision.reason)

    def allows(self, user: User, info: RequestInfo) -> bool:
        """Return whether some rule allows the request."""
        return self.decide(user, info).is_allowed

    def decide(self, user: User, info: RequestInfo) -> Decision:
        """Return whether some rule allows the request, and which; or why not."""
        if MASTERS in user.groups:
            return ALLOWED
        of_node = NO_OPINION if self._nodes is None else self._nodes.decide(user, info)
        if of_node.is_allowed:
            return of_node
        for grant in self._policy.grants(user, info.namespace if info.is_resource else ""):
            for rule in grant.rules:
                if rule.allows(info):
                    return grant.decision
        return of_node

    def rules_of(self, user: User, namespace: str) -> list[PolicyRule]:
        """Return every rule that a user has in a namespace."""
        found = [rule for grant in self._policy.grants(user, namespace) for rule in grant.rules]
        return [EVERYTHING, EVERY_PATH, *found] if MASTERS in user.groups else found


def forbidden(user: User, info: RequestInfo, reason: str = "") -> ForbiddenError:
    """Return the refusal in the words that clients know."""
    why = f": {reason}" if reason else ""
    if not info.is_resource:
        text = f'forbidden: User "{user.name}" cannot {info.verb} path "{info.path}"'
        return ForbiddenError(_escaped(text) + why, details=NO_DETAILS)
    plural = f"{info.plural}.{info.group}" if info.group else info.plural
    resource = f"{info.plural}/{info.subresource}" if info.subresource else info.plural
    what = f'{plural} "{info.name}"' if info.name else plural
    where = f'in the namespace "{info.namespace}"' if info.namespace else "at the cluster scope"
    text = (
        f'{what} is forbidden: User "{user.name}" cannot {info.verb} resource "{resource}" '
        f'in API group "{info.group}" {where}'
    )
    details = {"name": info.name, "group": info.group, "kind": info.plural}
    return ForbiddenError(_escaped(text) + why, details={k: v for k, v in details.items() if v})


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
