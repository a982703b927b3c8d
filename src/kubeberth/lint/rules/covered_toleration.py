"""A toleration that another one covers.

It can go: what it tolerates is tolerated anyway.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.tolerations import is_superset
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.tolerations import Toleration, tolerations
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    # Only those of the same key, or of no key at all, can cover one.
    by_key: dict[str, list[Toleration]] = {}
    for toleration in tolerations(workload.spec):
        by_key.setdefault(toleration.key, []).append(toleration)
    for key, same in by_key.items():
        others = [*(by_key.get("", ()) if key else ()), *same]
        for toleration in same:
            cover = _cover(toleration, others)
            if cover is not None:
                message = f"tolerating {cover} covers this toleration of {toleration}"
                yield Problem(toleration.field, message)


def _cover(toleration: Toleration, others: list[Toleration]) -> Toleration | None:
    """Return another one that covers a toleration; of those that are alike, the first stays."""
    is_later = False
    for other in others:
        if other is toleration:
            is_later = True
        elif _covers(other, toleration) and not (is_later and _covers(toleration, other)):
            return other
    return None


def _covers(wide: Toleration, narrow: Toleration) -> bool:
    return is_superset(_normal(wide), _normal(narrow))


def _normal(toleration: Toleration) -> dict[str, object]:
    return {**(toleration.field.value or {}), "operator": toleration.operator}


RULE = Rule("KB404", "covered-toleration", Severity.INFO, __doc__, of_workload=_check)
