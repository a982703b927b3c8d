"""Candidates: nodes that are worth a try, one of each kind that is refused for the same reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kubeberth.api.near import near_miss
from kubeberth.placement.obstacles import shortfall
from kubeberth.placement.plugin import FilterPlugin
from kubeberth.placement.profile import Profile
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState

# So many nodes of those that the same rules refuse, and so many in all.
_MAX_ALIKE = 5
_MAX_CANDIDATES = 24

Slots = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node, and the rules that refuse it."""

    slot: int
    refused_by: tuple[FilterPlugin, ...]


def candidates(state: ClusterState, request: PodRequest, profile: Profile) -> tuple[Candidate, ...]:
    """Return the nodes that the fewest rules refuse, those first where the least is missing."""
    slots = np.flatnonzero(state.exists)
    rules, rows = refusals(state, request, profile, slots)
    if not rules:
        return ()
    refused = np.stack(rows) != 0
    looks = np.stack([*rows, *_looks(state, request, slots)])
    order = np.lexsort(
        (
            slots,
            shortfall(state, request, slots),
            ~_is_near(state, request, slots),
            refused.sum(axis=0),
        )
    )
    # Of nodes that look alike the first one in that order stands for all.
    _, firsts = np.unique(looks[:, order], axis=1, return_index=True)
    chosen: list[Candidate] = []
    n_alike: Counter[bytes] = Counter()
    for place in order[np.sort(firsts)].tolist():
        verdict = refused[:, place]
        if n_alike[verdict.tobytes()] == _MAX_ALIKE:
            continue
        n_alike[verdict.tobytes()] += 1
        by = tuple(rule for rule, says_no in zip(rules, verdict.tolist(), strict=True) if says_no)
        chosen.append(Candidate(int(slots[place]), by))
        if len(chosen) == _MAX_CANDIDATES:
            break
    return tuple(chosen)


def refusals(
    state: ClusterState, request: PodRequest, profile: Profile, slots: Slots
) -> tuple[list[FilterPlugin], list[NDArray[np.int64]]]:
    """Return the rules that refuse any of some nodes, and their codes, an array of each."""
    rules, rows = [], []
    for rule in profile.filters:
        codes = rule.filter(state, request, slots)
        if codes is not None and codes.any():
            rules.append(rule)
            rows.append(codes)
    return rules, rows


def _looks(state: ClusterState, request: PodRequest, slots: Slots) -> list[NDArray[np.int64]]:
    """Return what sets nodes apart to whoever would change them: taints, labels, domains."""
    rules = request.node_rules
    keys = {entry.key for entry in rules.selector}
    keys.update(entry.key for term in rules.required or () for entry in term.labels)
    keys.update(
        term.topology_key for term in (*request.pod_rules.anti, *request.pod_rules.required)
    )
    keys.update(constraint.topology_key for constraint in request.spread)
    columns = [state.label_column(key) for key in sorted(keys)]
    # What is another one on each node would make a kind of its own of each.
    labels = [column.ids[slots] for column in columns if not column.is_unique]
    return [row.astype(np.int64) for row in (state.taint_list_ids[slots], *labels)]


def _is_near(state: ClusterState, request: PodRequest, slots: Slots) -> NDArray[np.bool_]:
    """Return which nodes have a label that a selected one may be a misspelling of."""
    found = np.zeros(len(slots), dtype=bool)
    rules = request.node_rules
    terms = (rules.selector, *(term.labels for term in rules.required or ()))
    for requirement in (entry for term in terms for entry in term if entry.operator == "In"):
        column = state.label_column(requirement.key)
        for value in requirement.values:
            meant = near_miss(value, column.known_values)
            value_id = column.id_of(meant) if meant else None
            if value_id is not None:
                found |= column.ids[slots] == value_id
    return found
