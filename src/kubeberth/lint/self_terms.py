"""Whether what pods ask of others concerns themselves, and where they are pinned to one place."""

from __future__ import annotations

from kubeberth.lint.field import Field
from kubeberth.lint.pod_terms import PodTerm, SpreadConstraint
from kubeberth.lint.requirements import Asked, alternatives
from kubeberth.lint.subject import Workload

# Labels of which each pod has a value of its own.
_OF_ONE_POD = {
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/job-completion-index",
    "statefulset.kubernetes.io/pod-name",
}


def is_of_itself(workload: Workload, term: PodTerm) -> bool:
    """Return whether a term means the pods that have it, too."""
    if not term.covers(workload.namespace):
        return False
    if term.field.at("mismatchLabelKeys").values or term.narrowed_by & _OF_ONE_POD:
        return False  # only pods that differ from it are meant, or only itself
    return term.selector.matches(workload.labels)


def counts_itself(workload: Workload, constraint: SpreadConstraint) -> bool:
    """Return whether a constraint counts the pods that have it."""
    return constraint.selector.matches(workload.labels)


def pinned(spec: Field, key: str) -> Asked | None:
    """Return the requirement that lets pods onto nodes of one value of a label only.

    None when there is no such one, or when an alternative knows of none, or of another value.
    """
    found: list[Asked] = []
    for term in alternatives(spec):
        mine = [one for one in term.asked if _is_pin(one, key)]
        if not mine:
            return None
        found += mine
    is_one = len({one.requirement.values for one in found}) == 1
    return found[0] if is_one else None


def _is_pin(asked: Asked, key: str) -> bool:
    requirement = asked.requirement
    return requirement.key == key and requirement.operator == "In" and len(requirement.values) == 1
