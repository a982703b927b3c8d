"""A PodDisruptionBudget never lets any of its pods go.

With `maxUnavailable: 0`, `minAvailable: 100%`, or a `minAvailable` that is the number of replicas,
every eviction is refused: `kubectl drain` waits for ever, and so does whoever upgrades nodes.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.amounts import scaled
from kubeberth.lint.budgets import protected_workloads
from kubeberth.lint.field import Field
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Subject
from kubeberth.lint.world import World


def _check(subject: Subject, world: World) -> Iterator[Problem]:
    if subject.kind != "PodDisruptionBudget":
        return
    most, least = subject.root.at("spec", "maxUnavailable"), subject.root.at("spec", "minAvailable")
    if most.exists and scaled(most.value, 100, default=1, is_up=True) == 0:
        yield Problem(most, "no pod may ever be unavailable: every drain of its node is blocked")
    elif least.value == "100%":
        yield Problem(least, "all pods must stay: every drain of a node with one is blocked")
    elif least.exists:
        yield from _of_least(least, subject, world)


def _of_least(least: Field, subject: Subject, world: World) -> Iterator[Problem]:
    workloads = protected_workloads(subject, world)
    replicas = [workload.replicas for workload in workloads]
    if not replicas or any(map(any, (map(bool, world.scalers_of(w)) for w in workloads))):
        return
    total = sum(count for count in replicas if count is not None)
    if None in replicas or total == 0:
        return
    needed = scaled(least.value, total, default=0, is_up=True)
    if needed >= total:
        names = ", ".join(workload.subject.shown for workload in workloads)
        pods = "pod" if total == 1 else f"{total} pods"
        yield Problem(
            least,
            f"minAvailable {least.value} of the {pods} of {names} lets none go: every drain is "
            "blocked",
        )


RULE = Rule("KB505", "budget-blocks-drains", Severity.WARNING, __doc__, of_object=_check)
