"""Required pod affinity that no pod can be the first to meet.

A pod with required affinity goes where a matching pod is. When none matches, neither among these
manifests nor in the cluster, and the pods do not match themselves either, they all wait for each
other for ever. Without a cluster known, only a selector that is nearly right is told of.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import PodTerm, pod_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    for term in pod_terms(workload.spec, workload.namespace):
        selector = term.selector
        if term.is_anti or not term.is_required or selector.is_absent or selector.is_empty:
            continue
        if next(world.meant_by(term), None) is not None:
            continue
        hint = _hint(term, world)
        if world.nodes is not None or hint:
            yield Problem(
                term.field.at("labelSelector"),
                f"no pod has {selector}, so there can be no first one{hint}",
                is_key=True,
            )


def _hint(term: PodTerm, world: World) -> str:
    elsewhere = next(
        (group for group in world.pod_groups if term.selector.matches(group.labels)), None
    )
    if elsewhere is not None:
        return (
            f"; {elsewhere.shown} has it, in namespace {elsewhere.namespace}, which the term does "
            "not name"
        )
    for group in world.pod_groups:
        near = term.selector.near_miss(group.labels)
        if near is not None:
            return f"; {group.shown} has {near[1]}, did you mean that?"
    return ""


RULE = Rule("KB204", "no-first-pod", Severity.ERROR, __doc__, of_workload=_check)
