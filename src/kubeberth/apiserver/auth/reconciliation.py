"""The roles and bindings that every cluster has, in a cluster of an older version; pure.

    Rule 1  What is missing in one is added: rules, subjects, what it gathers, labels, annotations.
    Rule 2  What somebody has added stays.
    Rule 3  Whoever sets the annotation `autoupdate` to `false` keeps it as it is.
    Rule 4  A binding of another role is no longer the one that every cluster has: it is made anew.

Matches `k8s.io/component-helpers/auth/rbac/reconciliation` of Kubernetes 1.36, as kube-apiserver
uses it when it starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.apiserver.auth.coverage import lacking_of
from kubeberth.apiserver.auth.stored_policy import to_rule

Document = dict[str, Any]
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_GATHERED = ("aggregationRule", "clusterRoleSelectors")


def is_protected(stored: Mapping[str, Any]) -> bool:
    """Return whether an object is to be left as it is."""
    annotations = stored["metadata"].get("annotations") or {}
    return annotations.get(AUTOUPDATE) == "false"


def is_of_another_role(stored: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Return whether a binding gives another role than it should."""
    return bool(stored.get("roleRef") != expected.get("roleRef"))


def reconciled(stored: Document, expected: Document) -> Document:
    """Return a role or binding with what it lacks; the very one, when it lacks nothing."""
    changes: Document = {}
    metadata = stored["metadata"]
    told = {
        field: {**expected["metadata"].get(field, {}), **(metadata.get(field) or {})}
        for field in ("labels", "annotations")
    }
    if any(told[field] != (metadata.get(field) or {}) for field in told):
        changes["metadata"] = {**metadata, **told}
    own = stored.get("rules") or []
    # Mostly it is as it was made, and then there is no need to look closer.
    if own != expected.get("rules", []) and (rules := _uncovered(own, expected.get("rules", []))):
        changes["rules"] = [*own, *rules]
    subjects = _missing(stored.get("subjects"), expected.get("subjects"))
    if subjects:
        changes["subjects"] = [*(stored.get("subjects") or ()), *subjects]
    rule, selectors = _GATHERED
    gathers = stored.get(rule) or {}
    more = _missing(gathers.get(selectors), expected.get(rule, {}).get(selectors))
    if more:
        changes[rule] = {selectors: [*(gathers.get(selectors) or ()), *more]}
    return {**stored, **changes} if changes else stored


def _uncovered(own: list[Document], expected: list[Document]) -> list[Document]:
    known = [to_rule(rule) for rule in own]
    return [rule for rule in expected if any(lacking_of(to_rule(rule), known))]


def _missing(stored: list[Document] | None, expected: list[Document] | None) -> list[Document]:
    return [entry for entry in expected or () if entry not in (stored or ())]
