"""What a user may do: rules, roles and bindings, evaluated as RBAC evaluates them.

Allow only; everything that no rule allows is denied.
Matches `plugin/pkg/auth/authorizer/rbac` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from kubeberth.apiserver.auth.authn import MASTERS, SERVICE_ACCOUNT, User
from kubeberth.apiserver.route import NO_DETAILS, RequestInfo
from kubeberth.errors import ForbiddenError

# Users in namespaces whose bindings are remembered: those of a busy cluster, and then some.
REMEMBERED = 16384


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
class RoleBinding:
    """Rules given to users and groups, in one namespace or (None) everywhere.

    Parameters
    ----------
    role, role_kind
        The role whose rules these are.
    users
        Names of users, those of service accounts in their long form.
    name
        The binding's own; empty for that of its role.
    """

    role: str
    rules: tuple[PolicyRule, ...]
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    namespace: str | None = None
    name: str = ""
    role_kind: str = "ClusterRole"

    def is_for(self, user: User) -> bool:
        """Return whether the user is among the subjects."""
        return user.name in self.users or not self.groups.isdisjoint(user.groups)

    def reason(self, user: User) -> str:
        """Say through what the user has these rules."""
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


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request is allowed, and why, or why not; RBAC never says why not."""

    is_allowed: bool
    reason: str = ""


class Policy(Protocol):
    """Where bindings come from: the built-in table, or RBAC objects."""

    def bindings(self) -> Iterable[RoleBinding]:
        """Return every binding there is: the same object until one of them has changed."""


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
        # Of the bindings that were looked through last: which are for whom, and where.
        self._all: Iterable[RoleBinding] = ()
        self._own: dict[tuple[str, frozenset[str], str], tuple[RoleBinding, ...]] = {}

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
            return Decision(True)
        of_node = self._nodes.decide(user, info) if self._nodes is not None else Decision(False)
        if of_node.is_allowed:
            return of_node
        namespace = info.namespace if info.is_resource else ""
        for binding in self._bindings(user, namespace):
            if any(rule.allows(info) for rule in binding.rules):
                return Decision(True, binding.reason(user))
        return of_node

    def rules_of(self, user: User, namespace: str) -> list[PolicyRule]:
        """Return every rule that a user has in a namespace."""
        found = [rule for binding in self._bindings(user, namespace) for rule in binding.rules]
        return [EVERYTHING, EVERY_PATH, *found] if MASTERS in user.groups else found

    def _bindings(self, user: User, namespace: str) -> tuple[RoleBinding, ...]:
        bindings = self._policy.bindings()
        if bindings is not self._all or len(self._own) >= REMEMBERED:
            self._all = bindings
            self._own.clear()
        key = (user.name, user.groups, namespace)
        own = self._own.get(key)
        if own is None:
            own = self._own[key] = tuple(
                binding
                for binding in bindings
                if binding.namespace in (None, namespace) and binding.is_for(user)
            )
        return own


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
