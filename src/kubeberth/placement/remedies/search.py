"""Search: the smallest changes with which a pod fits, each tried before it is told.

For the nodes that the least keeps away (`candidates`), each rule that refuses one is asked what it
would be satisfied with there (`*_edits`). One answer of each rule together make a proposal;
proposals are tried in order of their effort, and of what is alike only the first is kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

from kubeberth.api.core import Pod
from kubeberth.placement.plugin import FilterPlugin
from kubeberth.placement.profile import Profile
from kubeberth.placement.remedies.candidates import Candidate, candidates
from kubeberth.placement.remedies.commands import commands
from kubeberth.placement.remedies.edit import (
    CORRECT,
    Alternative,
    Edit,
    edited,
    effort_of,
    with_spec,
)
from kubeberth.placement.remedies.growth import new_nodes
from kubeberth.placement.remedies.manifests import manifests_of
from kubeberth.placement.remedies.node_edits import cordon_edits, taint_edits
from kubeberth.placement.remedies.patch import spec_patch
from kubeberth.placement.remedies.pod_term_edits import pod_term_edits
from kubeberth.placement.remedies.port_edits import port_edits
from kubeberth.placement.remedies.priority_edits import urgency
from kubeberth.placement.remedies.remedy import Remedy
from kubeberth.placement.remedies.resource_edits import request_edits
from kubeberth.placement.remedies.selection_edits import selection_edits
from kubeberth.placement.remedies.spread_edits import spread_edits
from kubeberth.placement.remedies.storage_edits import claim_edits, volume_edits
from kubeberth.placement.remedies.what_if import Landing, WhatIf
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState

MAX_REMEDIES = 6
# A trial takes some 3 ms on 5,000 nodes, one with evictions four times as much.
_MAX_TRIALS = 90
_MAX_COMBINED = 8
# More rules than that are not satisfied one by one.
_MAX_RULES = 4

Asked = Callable[[ClusterState, Pod, PodRequest, int], Iterator[Alternative]]

_EDITS: dict[str, Asked] = {
    "NodeAffinity": selection_edits,
    "TaintToleration": taint_edits,
    "NodeUnschedulable": cordon_edits,
    "NodeResourcesFit": request_edits,
    "NodePorts": port_edits,
    "InterPodAffinity": pod_term_edits,
    "VolumeBinding": volume_edits,
}


def find_remedies(
    state: ClusterState, pod: Pod, profile: Profile, most: int = MAX_REMEDIES
) -> tuple[Remedy, ...]:
    """Return the smallest changes with which a pod fits, the smallest first; none if it does fit.

    Parameters
    ----------
    pod
        Without a node. Its gates count for nothing when it would fit but for them: then to remove
        them is the one remedy.
    """
    what_if = WhatIf(state, pod, profile)
    landing = what_if.landing(())
    if landing is not None:
        gates = _remove_gates(pod)
        return (_remedy(what_if, gates, landing),) if gates else ()
    found: dict[tuple[str, ...], Remedy] = {}
    proposals = _proposals(what_if)
    for edits in itertools.islice(proposals, _MAX_TRIALS):
        kinds = _kinds(edits)
        if kinds in found or _has_part(found, kinds):
            continue
        landing = what_if.landing(edits)
        if landing is not None:
            smaller, landing = _without_what_is_needless(what_if, edits, landing)
            found.setdefault(_kinds(smaller), _remedy(what_if, smaller, landing))
            if len(found) == most:
                break
    urgent = _preempting(what_if)
    remedies = [*found.values(), *([urgent] if urgent else ())]
    return tuple(sorted(remedies, key=lambda r: (r.effort, r.text))[:most])


def _proposals(what_if: WhatIf) -> Iterator[Alternative]:
    """Yield edits to be tried together, in order of their effort."""
    state, pod, profile = what_if.state, what_if.pod, what_if.profile
    request = state.request(pod)
    proposals = list(claim_edits(state, pod, request))
    for candidate in candidates(state, request, profile):
        proposals += _for_node(state, pod, request, candidate)
    proposals += new_nodes(state, request)
    unique = {tuple(sorted(edit.text for edit in edits)): edits for edits in proposals if edits}
    gates = _remove_gates(pod)
    siblings = _siblings(state, pod)
    whole = [
        (*gates, *edits)
        for edits in unique.values()
        if siblings.isdisjoint(key for edit in edits for key in edit.evicts)
    ]
    yield from sorted(whole, key=lambda edits: (effort_of(edits), [e.text for e in edits]))


def _siblings(state: ClusterState, pod: Pod) -> set[str]:
    """Return the pods of the same controller: it gains nothing when one leaves for another."""
    owner = pod.metadata.controller
    if owner is None:
        return set()
    on_nodes = (placed for name in state.node_names for placed in state.pods_on(name))
    return {placed.key for placed in on_nodes if placed.request.meta.controller == owner}


def _for_node(
    state: ClusterState, pod: Pod, request: PodRequest, candidate: Candidate
) -> Iterator[Alternative]:
    """Yield proposals that each satisfy every rule that refuses a node."""
    if len(candidate.refused_by) > _MAX_RULES:
        return
    answers = [
        sorted(_ask(rule, state, pod, request, candidate.slot), key=effort_of)
        for rule in candidate.refused_by
    ]
    combined = itertools.product(*answers)
    for parts in itertools.islice(combined, _MAX_COMBINED if len(answers) > 1 else None):
        yield _together(parts)


def _ask(
    rule: FilterPlugin, state: ClusterState, pod: Pod, request: PodRequest, slot: int
) -> list[Alternative]:
    if rule.name == "PodTopologySpread":
        return [edits for edits in spread_edits(rule, state, pod, request, slot) if edits]
    ask = _EDITS.get(rule.name)
    return [] if ask is None else [edits for edits in ask(state, pod, request, slot) if edits]


def _together(parts: Iterable[Alternative]) -> Alternative:
    """Return edits that several rules ask for, each once."""
    return tuple({edit.text: edit for part in parts for edit in part}.values())


def _kinds(edits: Alternative) -> tuple[str, ...]:
    """Return what sets a remedy apart: where a field of the pod changes, which one."""
    return tuple(sorted({edit.text if edit.effort <= CORRECT else edit.kind for edit in edits}))


def _has_part(found: Iterable[tuple[str, ...]], kinds: tuple[str, ...]) -> bool:
    """Return whether less of the same kind helps already."""
    return any(set(smaller) < set(kinds) for smaller in found)


def _without_what_is_needless(
    what_if: WhatIf, edits: Alternative, landing: Landing
) -> tuple[Alternative, Landing]:
    """Return the edits without any that the pod fits without, too."""
    for edit in sorted(edits, key=lambda edit: -edit.effort):
        if len(edits) == 1:
            break
        fewer = tuple(e for e in edits if e is not edit)
        other = what_if.landing(fewer) if edit.kind != "remove-gates" else None
        if other is not None:
            edits, landing = fewer, other
    return edits, landing


def _remedy(what_if: WhatIf, edits: Alternative, landing: Landing) -> Remedy:
    patch = spec_patch(what_if.pod, edited(what_if.pod, edits))
    return Remedy(
        tuple(edit.kind for edit in edits),
        "; ".join(edit.text for edit in edits),
        landing.node,
        round(effort_of(edits), 2),
        landing.moved,
        patch,
        tuple(manifest for edit in edits for manifest in manifests_of(edit)),
        commands(what_if.pod, edits, patch),
    )


def _remove_gates(pod: Pod) -> Alternative:
    gates = pod.spec.scheduling_gates
    if not gates:
        return ()
    names = ", ".join(gate.name for gate in gates)
    text = f"remove the scheduling gate{'s' if len(gates) > 1 else ''} {names}"
    return (
        Edit("remove-gates", text, CORRECT, on_pod=lambda pod: with_spec(pod, scheduling_gates=())),
    )


def _preempting(what_if: WhatIf) -> Remedy | None:
    """Return from which priority on the pod would make others leave."""
    found = urgency(what_if)
    if found is None or not _siblings(what_if.state, what_if.pod).isdisjoint(found.victims):
        return None
    edits = (*_remove_gates(what_if.pod), found.edit)
    return _remedy(what_if, edits, Landing(found.node, dict.fromkeys(found.victims, "")))
