"""Topology spread constraints, compiled: which pods to spread, over what, how far apart.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
Matches kube-scheduler 1.36 (plugins/podtopologyspread/common.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubeberth.api.core import TopologySpreadConstraint
from kubeberth.api.node_labels import HOSTNAME, ZONE
from kubeberth.api.selectors import Requirement, Selector, from_label_selector

SYSTEM_DEFAULTS = (
    TopologySpreadConstraint(
        max_skew=3, topology_key=HOSTNAME, when_unsatisfiable="ScheduleAnyway"
    ),
    TopologySpreadConstraint(max_skew=5, topology_key=ZONE, when_unsatisfiable="ScheduleAnyway"),
)
"""What kube-scheduler wishes for pods of a Service or a controller that say nothing themselves."""


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """One compiled constraint.

    Parameters
    ----------
    is_hard
        `DoNotSchedule`, as opposed to `ScheduleAnyway`.
    selector
        `matchLabelKeys` included.
    """

    topology_key: str
    max_skew: int
    is_hard: bool
    selector: Selector
    min_domains: int = 1
    honors_affinity: bool = True
    honors_taints: bool = False


def to_spread_constraint(
    constraint: TopologySpreadConstraint, labels: Mapping[str, str], selector: Selector
) -> SpreadConstraint:
    """Return a constraint of a pod with these labels, over the pods that a selector means."""
    if not selector.matches_nothing:
        keys = [key for key in constraint.match_label_keys if key in labels]
        selector = selector_of(
            (*selector.requirements, *(Requirement(k, "In", frozenset((labels[k],))) for k in keys))
        )
    return SpreadConstraint(
        topology_key=constraint.topology_key,
        max_skew=constraint.max_skew,
        is_hard=constraint.when_unsatisfiable == "DoNotSchedule",
        selector=selector,
        min_domains=1 if constraint.min_domains is None else constraint.min_domains,
        honors_affinity=constraint.node_affinity_policy != "Ignore",
        honors_taints=constraint.node_taints_policy == "Honor",
    )


def to_spread_constraints(
    constraints: Iterable[TopologySpreadConstraint], labels: Mapping[str, str]
) -> tuple[SpreadConstraint, ...]:
    """Return the constraints that a pod with these labels brings itself."""
    return tuple(
        to_spread_constraint(entry, labels, from_label_selector(entry.label_selector))
        for entry in constraints
    )


def label_keys(constraints: Iterable[TopologySpreadConstraint]) -> set[str]:
    """Return the pod labels that constraints look at."""
    keys: set[str] = set()
    for entry in constraints:
        keys.update(entry.match_label_keys)
        keys.update(r.key for r in from_label_selector(entry.label_selector).requirements)
    return keys


def selector_of(requirements: Iterable[Requirement]) -> Selector:
    """Return a selector that equals every other one of the same requirements."""
    by_key = {(r.key, r.operator, tuple(sorted(r.values))): r for r in requirements}
    return Selector(tuple(requirement for _, requirement in sorted(by_key.items())))
