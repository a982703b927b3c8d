"""What a role that every cluster starts with is made of."""

from __future__ import annotations

from dataclasses import dataclass

from kubeberth.apiserver.auth.rbac import PolicyRule

READ = "get list watch"
WRITE = "create patch update"


@dataclass(frozen=True, slots=True)
class DefaultRole:
    """A role, and to whom it is bound by a binding of its name; to nobody, and there is none.

    Parameters
    ----------
    accounts
        Names of service accounts in kube-system.
    gathers
        The role is all roles with this label, besides its own rules.
    gathered_by
        Labels by which others gather it.
    namespace
        Where the role counts; empty for everywhere.
    """

    name: str
    rules: tuple[PolicyRule, ...] = ()
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    gathers: str = ""
    gathered_by: tuple[str, ...] = ()
    namespace: str = ""

    @property
    def is_bound(self) -> bool:
        """Whether somebody has it."""
        return bool(self.users or self.groups or self.accounts)


def rule(verbs: str, resources: str, *, groups: str = "", names: str = "") -> PolicyRule:
    """Return a rule from lists of words; the core group is left out of `groups`."""
    return PolicyRule(
        frozenset(verbs.split()),
        frozenset(groups.split() or ("",)),
        frozenset(resources.split()),
        frozenset(names.split()),
    )


def urls(*paths: str) -> PolicyRule:
    """Return a rule to read paths that are no resources."""
    return PolicyRule(frozenset(("get",)), non_resource_urls=frozenset(paths))


EVENTS = (
    rule(WRITE, "events"),
    rule(WRITE, "events", groups="events.k8s.io"),
)
