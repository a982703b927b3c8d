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
    every = tolerations(workload.spec)
    for index, toleration in enumerate(every):
        for other_index, other in enumerate(every):
            if other_index == index or not _covers(other, toleration):
                continue
            # Of two that are the same the first one stays.
            if other_index < index or not _covers(toleration, other):
                message = f"tolerating {other} covers this toleration of {toleration}"
                yield Problem(toleration.field, message)
                break


def _covers(wide: Toleration, narrow: Toleration) -> bool:
    return is_superset(_normal(wide), _normal(narrow))


def _normal(toleration: Toleration) -> dict[str, object]:
    return {**(toleration.field.value or {}), "operator": toleration.operator}


RULE = Rule("KB404", "covered-toleration", Severity.INFO, __doc__, of_workload=_check)
