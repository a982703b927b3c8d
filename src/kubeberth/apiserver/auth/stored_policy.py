"""RBAC objects as the authorizer reads them: roles and bindings of the store become rules.

They are read anew only when one of them has changed. A cluster role that aggregates others has
their rules, without a controller to copy them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from kubeberth.api.scheme import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    Resource,
)
from kubeberth.api.selectors import from_label_selector
from kubeberth.apiserver.auth.authn import SERVICE_ACCOUNT
from kubeberth.apiserver.auth.rbac import PolicyRule, RoleBinding

Document = Mapping[str, Any]
KINDS = (CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES)


class Source(Protocol):
    """Where RBAC objects are kept."""

    def find(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """Return an object, or None."""

    def find_all(self, resource: Resource, namespace: str = "") -> Iterable[dict[str, Any]]:
        """Return the objects of a resource."""

    def n_changes(self, resource: Resource) -> int:
        """Return how often objects of a resource have been written."""


class StoredPolicy:
    """The bindings of the store."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._bindings: tuple[RoleBinding, ...] = ()
        self._seen: tuple[int, ...] = ()

    def bindings(self) -> Iterable[RoleBinding]:
        """Return every binding there is."""
        seen = tuple(self._source.n_changes(resource) for resource in KINDS)
        if seen != self._seen:
            self._bindings = tuple(self._compiled())
            self._seen = seen
        return self._bindings

    def rules_of_role(self, kind: str, namespace: str, name: str) -> list[Document] | None:
        """Return the rules of a role as documents; None when there is no such role."""
        if kind == "Role":
            role = self._source.find(ROLES, namespace, name)
            return None if role is None else list(role.get("rules") or ())
        role = self._source.find(CLUSTER_ROLES, "", name)
        return None if role is None else self._all_rules(role)

    def _all_rules(self, role: Document, seen: frozenset[str] = frozenset()) -> list[Document]:
        """Return the rules of a cluster role; one that gathers others has theirs, and no own."""
        selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
        if not selectors:
            return list(role.get("rules") or ())
        seen |= {role["metadata"]["name"]}
        rules = []
        for other in self._source.find_all(CLUSTER_ROLES):
            labels = other["metadata"].get("labels") or {}
            is_selected = any(from_label_selector(s).matches(labels) for s in selectors)
            if is_selected and other["metadata"]["name"] not in seen:
                rules += self._all_rules(other, seen)
        return rules

    def _compiled(self) -> Iterator[RoleBinding]:
        for resource in (CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS):
            for binding in self._source.find_all(resource):
                yield self._compile(binding)

    def _compile(self, binding: Document) -> RoleBinding:
        metadata, role = binding["metadata"], binding.get("roleRef") or {}
        namespace = metadata.get("namespace")
        kind, name = role.get("kind", ""), role.get("name", "")
        rules = self.rules_of_role(kind, namespace or "", name) or ()
        subjects = binding.get("subjects") or ()
        return RoleBinding(
            name,
            tuple(to_rule(rule) for rule in rules),
            users=frozenset(_users(subjects, namespace or "")),
            groups=frozenset(s.get("name", "") for s in subjects if s.get("kind") == "Group"),
            namespace=namespace,
            name=metadata["name"],
            role_kind=kind,
        )


def _users(subjects: Iterable[Document], namespace: str) -> Iterator[str]:
    for subject in subjects:
        if subject.get("kind") == "User":
            yield subject.get("name", "")
        elif subject.get("kind") == "ServiceAccount":
            home = subject.get("namespace") or namespace
            yield f"{SERVICE_ACCOUNT}{home}:{subject.get('name', '')}"


def to_rule(rule: Document) -> PolicyRule:
    """Return a rule of a role."""
    return PolicyRule(
        frozenset(rule.get("verbs") or ()),
        frozenset(rule.get("apiGroups") or ()),
        frozenset(rule.get("resources") or ()),
        frozenset(rule.get("resourceNames") or ()),
        frozenset(rule.get("nonResourceURLs") or ()),
    )
