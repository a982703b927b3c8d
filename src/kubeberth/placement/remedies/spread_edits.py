"""Edits for PodTopologySpread: a larger skew, another key, a wish in place of a demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from msgspec.structs import replace

from kubeberth.api.core import Pod, TopologySpreadConstraint
from kubeberth.api.well_known import meant_label
from kubeberth.placement.plugin import FilterPlugin
from kubeberth.placement.remedies.edit import (
    CHANGE_FIELD,
    CORRECT,
    SOFTEN,
    Alternative,
    Edit,
    with_spec,
)
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState

# A skew that large spreads nothing any more.
_MAX_SKEW = 64
_PER_STEP = 0.1

Constraint = TopologySpreadConstraint


def spread_edits(
    rule: FilterPlugin, state: ClusterState, pod: Pod, request: PodRequest, slot: int
) -> Iterator[Alternative]:
    """Yield what would let a constraint, or several, take one pod more on a node."""
    labels = state.node(slot).metadata.labels
    broken = [
        constraint
        for constraint in pod.spec.topology_spread_constraints
        if constraint.when_unsatisfiable == "DoNotSchedule"
        and not _passes(rule, state, _only(pod, constraint), slot)
    ]
    raised: list[Edit | None] = []
    for constraint in broken:
        key = constraint.topology_key
        if key in labels:
            raised.append(_raise(rule, state, pod, constraint, slot))
        else:
            meant = meant_label(key, labels)
            raised.append(_correct(constraint, meant) if meant else None)
    if broken and all(raised):
        yield tuple(edit for edit in raised if edit is not None)
    if broken:
        yield tuple(map(soften_constraint, broken))
        uneven = [c for c in broken if c.node_taints_policy != "Honor" and c.topology_key in labels]
        if len(uneven) == len(broken):
            yield tuple(map(_honor_taints, broken))


def without_constraint(pod: Pod, constraint: Constraint) -> Pod:
    """Return a pod without one of its constraints."""
    left = tuple(c for c in pod.spec.topology_spread_constraints if c != constraint)
    return with_spec(pod, topology_spread_constraints=left)


def soften_constraint(constraint: Constraint) -> Edit:
    """Return what makes a wish of a constraint."""
    text = f"spread over {constraint.topology_key} with ScheduleAnyway, not DoNotSchedule"
    # `minDomains` is for demands only.
    new = replace(constraint, when_unsatisfiable="ScheduleAnyway", min_domains=None)
    return Edit("soften-spread", text, SOFTEN, on_pod=_to(constraint, new))


def _raise(
    rule: FilterPlugin, state: ClusterState, pod: Pod, constraint: Constraint, slot: int
) -> Edit | None:
    """Return the smallest skew with which a node passes."""
    low, high = constraint.max_skew, constraint.max_skew

    def passes(skew: int) -> bool:
        new = replace(constraint, max_skew=skew)
        return _passes(rule, state, _only(pod, new), slot)

    step = 1
    while not passes(high):
        low, high, step = high, high + step, step * 2
        if high > _MAX_SKEW:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    new = replace(constraint, max_skew=high)
    text = f"raise maxSkew over {constraint.topology_key} from {constraint.max_skew} to {high}"
    effort = CHANGE_FIELD + _PER_STEP * (high - constraint.max_skew)
    return Edit("raise-max-skew", text, effort, on_pod=_to(constraint, new))


def _correct(constraint: Constraint, key: str) -> Edit:
    text = f"correct topologyKey {constraint.topology_key} to {key}"
    new = replace(constraint, topology_key=key)
    return Edit("correct-value", text, CORRECT, on_pod=_to(constraint, new))


def _honor_taints(constraint: Constraint) -> Edit:
    text = (
        f"spread over {constraint.topology_key} without the nodes that the pod may not go to "
        "(nodeTaintsPolicy: Honor)"
    )
    new = replace(constraint, node_taints_policy="Honor")
    return Edit("honor-taints", text, CHANGE_FIELD, on_pod=_to(constraint, new))


def _to(old: Constraint, new: Constraint) -> Callable[[Pod], Pod]:
    def change(pod: Pod) -> Pod:
        given = pod.spec.topology_spread_constraints
        pairs = {(c.topology_key, c.when_unsatisfiable) for c in given if c != old}
        # Of one kind, a topology key has one constraint at most: one that is there stays.
        instead = () if (new.topology_key, new.when_unsatisfiable) in pairs else (new,)
        constraints = tuple(c for entry in given for c in (instead if entry == old else (entry,)))
        return with_spec(pod, topology_spread_constraints=constraints)

    return change


def _only(pod: Pod, constraint: Constraint) -> Pod:
    return with_spec(pod, topology_spread_constraints=(constraint,))


def _passes(rule: FilterPlugin, state: ClusterState, pod: Pod, slot: int) -> bool:
    codes = rule.filter(state, state.request(pod), np.array([slot], dtype=np.intp))
    return codes is None or not codes[0]
