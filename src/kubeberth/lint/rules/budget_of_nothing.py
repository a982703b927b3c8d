"""A PodDisruptionBudget that protects no pod.

No pod of its namespace has the labels that it selects, neither in these manifests nor in the
cluster, so drains go ahead as if there were none. Told only where there are pods in the namespace.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.label_selector import label_selector
from kubeberth.lint.requirements import conflict
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Subject
from kubeberth.lint.world import World


def _check(subject: Subject, world: World) -> Iterator[Problem]:
    selector = label_selector(subject.root.at("spec", "selector"))
    if subject.kind != "PodDisruptionBudget" or selector.is_empty or conflict(selector.asked):
        return
    groups = world.pod_groups_of.get(subject.namespace, [])
    if not groups or any(selector.matches(group.labels) for group in groups):
        return
    near = ((group, selector.near_miss(group.labels)) for group in groups)
    hint = next((f"; {group.shown} has {found[1]}" for group, found in near if found), "")
    wanted = f"has {selector}" if selector.asked else "is selected"
    message = f"no pod in namespace {subject.namespace} {wanted}{hint}"
    yield Problem(selector.field, message, is_key=True)


RULE = Rule("KB506", "budget-of-nothing", Severity.WARNING, __doc__, of_object=_check)
