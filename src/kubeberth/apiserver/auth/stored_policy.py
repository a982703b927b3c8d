"""RBAC objects as the authorizer reads them: bindings by their subjects, roles as rules.

Rule 1  A binding is taken in when it is written, and found by whom it is for; nobody else's request
        is slower for it.
Rule 2  What a role allows is put together when somebody first asks, and anew when any role changes.
Rule 3  A cluster role that gathers others has their rules, without a controller to copy them, and
        none of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from kubeberth.api.scheme import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    Resource,
)
from kubeberth.api.selectors import from_label_selector
from kubeberth.apiserver.auth.authn import SERVICE_ACCOUNT, User
from kubeberth.apiserver.auth.rbac import Grant, PolicyRule, RoleBinding
from kubeberth.apiserver.objects import prefix_of, stored_document
from kubeberth.apiserver.storage.store import Entry, StoreEvent, Told

Document = Mapping[str, Any]
# Users in namespaces whose grants are remembered: those of a busy cluster, and then some.
REMEMBERED = 16384
_BINDINGS = {r.storage_key: r for r in (CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS)}
_ROLES = frozenset((CLUSTER_ROLES.storage_key, ROLES.storage_key))


class Source(Protocol):
    """Where roles are kept."""

    def find(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """Return an object, or None."""

    def find_all(self, resource: Resource, namespace: str = "") -> Iterable[dict[str, Any]]:
        """Return the objects of a resource."""


class StoredPolicy:
    """The roles and bindings of a store; follows it."""

    def __init__(self, source: Source, store: Told) -> None:
        self._source = source
        self._bindings: dict[str, RoleBinding] = {}
        # By namespace (None: everywhere) and subject, the bindings and their keys.
        self._of: defaultdict[tuple[str | None, str, str], dict[str, RoleBinding]]
        self._of = defaultdict(dict)
        self._rules: dict[tuple[str, str, str], tuple[PolicyRule, ...]] = {}
        self._grants: dict[tuple[str, frozenset[str], str], tuple[Grant, ...]] = {}
        for resource in _BINDINGS.values():
            for entry in store.entries(prefix_of(resource)):
                self._take(entry.key, entry)
        store.subscribe(self._follow, *_BINDINGS, *_ROLES)

    def grants(self, user: User, namespace: str) -> Sequence[Grant]:
        """Return what a user was given, everywhere and in a namespace."""
        key = (user.name, user.groups, namespace)
        known = self._grants.get(key)
        if known is None:
            if len(self._grants) >= REMEMBERED:
                self._grants.clear()
            known = self._grants[key] = tuple(self._collected(user, namespace))
        return known

    def rules_of_role(self, kind: str, namespace: str, name: str) -> list[Document] | None:
        """Return the rules of a role as documents; None when there is no such role."""
        if kind == "Role":
            role = self._source.find(ROLES, namespace, name)
            return None if role is None else list(role.get("rules") or ())
        role = self._source.find(CLUSTER_ROLES, "", name)
        return None if role is None else self._all_rules(role)

    def _all_rules(self, role: Document, seen: frozenset[str] = frozenset()) -> list[Document]:
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

    def _collected(self, user: User, namespace: str) -> Iterator[Grant]:
        subjects = [("User", user.name), *(("Group", group) for group in user.groups)]
        places = (None, namespace) if namespace else (None,)
        found: dict[str, RoleBinding] = {}
        for place in places:
            for kind, name in subjects:
                found |= self._of.get((place, kind, name), {})
        # By their keys, which has those that count everywhere first.
        for key in sorted(found):
            yield found[key].grant(user, self._rules_of(found[key]))

    def _rules_of(self, binding: RoleBinding) -> tuple[PolicyRule, ...]:
        key = (binding.role_kind, binding.namespace or "", binding.role)
        rules = self._rules.get(key)
        if rules is None:
            documents = self.rules_of_role(*key) or ()
            rules = self._rules[key] = tuple(to_rule(document) for document in documents)
        return rules

    def _follow(self, event: StoreEvent) -> None:
        if event.bucket in _BINDINGS:
            self._take(event.key, event.entry)
        else:
            self._rules.clear()
        self._grants.clear()

    def _take(self, key: str, entry: Entry | None) -> None:
        """Take in what a binding is now."""
        before = self._bindings.pop(key, None)
        if before is not None:
            for place in _places(before):
                del self._of[place][key]
                if not self._of[place]:
                    del self._of[place]
        if entry is not None:
            now = self._bindings[key] = _binding(stored_document(entry))
            for place in _places(now):
                self._of[place][key] = now


def _places(binding: RoleBinding) -> Iterator[tuple[str | None, str, str]]:
    yield from ((binding.namespace, "User", name) for name in binding.users)
    yield from ((binding.namespace, "Group", name) for name in binding.groups)


def _binding(document: Document) -> RoleBinding:
    metadata, role = document["metadata"], document.get("roleRef") or {}
    namespace = metadata.get("namespace")
    subjects = document.get("subjects") or ()
    return RoleBinding(
        role.get("name", ""),
        users=frozenset(_users(subjects, namespace or "")),
        groups=frozenset(s.get("name", "") for s in subjects if s.get("kind") == "Group"),
        namespace=namespace,
        name=metadata["name"],
        role_kind=role.get("kind", ""),
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
