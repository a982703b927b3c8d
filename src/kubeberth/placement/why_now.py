"""Why a pod is where it is, or nowhere: an explanation for whoever is on call.

Where kube-scheduler's message counts each node once, by the first rule that refused it, this asks
every rule about every node: what is one step away from fitting shows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import Pod
from kubeberth.api.requests import shown_amount
from kubeberth.placement.delta import PodRemoved
from kubeberth.placement.explain import explain
from kubeberth.placement.normalize import normalize
from kubeberth.placement.obstacles import facts, shortages, shortfall
from kubeberth.placement.plugin import PlacementError
from kubeberth.placement.profile import Profile
from kubeberth.placement.remedies.conflict import find_conflict
from kubeberth.placement.remedies.search import find_remedies
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState
from kubeberth.placement.verdicts import judge
from kubeberth.placement.vocabulary import distinct
from kubeberth.placement.why import Fact, NearMiss, Obstacle, ScoredNode, WayOut, Why

NO_SUCH_NODE = "its nodeName names a node that is not there, and no scheduler looks at it again"

_MAX_BEST = 5
_MAX_NEAREST = 3
# What is not about one node can take as long as there are pods: so many nodes are asked at most.
_MAX_ASKED = 200
_MAX_WAYS = 3


def why_now(
    state: ClusterState, pod: Pod, profile: Profile | None, *, with_remedies: bool = True
) -> Why:
    """Return why a pod is where it is; of a placed one, how it would be placed if it came anew.

    Parameters
    ----------
    pod
        As it is in the state: with a node if it has one.
    profile
        The one that answers for the pod; None when none does.
    """
    key = pod.metadata.key
    node = state.node_of(key) or pod.spec.node_name
    if node:
        return _why_placed(state, pod, node, profile)
    if profile is None:
        name = pod.spec.scheduler_name
        return Why(key, "unknown", f'waits for a scheduler called "{name}", which is not here')
    rejections = (rule.pre_enqueue(pod) for rule in profile.pre_enqueue)
    gate = next((rejection for rejection in rejections if rejection is not None), None)
    if gate is not None:
        found = Why(key, "gated", ", ".join(gate.reasons))
    else:
        found = why_pending(state, pod, profile)
    return helped(found, state, pod, profile) if with_remedies else found


def helped(why: Why, state: ClusterState, pod: Pod, profile: Profile) -> Why:
    """Return the answer about a pod without a node, and what would help it."""
    if not state.n_nodes or (why.state == "pending" and why.n_feasible):
        return why
    conflict = None if why.state == "gated" else find_conflict(state, pod, profile)
    remedies = find_remedies(state, pod, profile)
    return msgspec.structs.replace(why, remedies=remedies, conflict=conflict)


def _why_placed(state: ClusterState, pod: Pod, node: str, profile: Profile | None) -> Why:
    key = pod.metadata.key
    if state.slot_of(node) is None:
        return Why(key, "placed", NO_SUCH_NODE, node, state.n_nodes)
    if profile is None:
        message = f'placed by a scheduler called "{pod.spec.scheduler_name}", or by its nodeName'
        return Why(key, "placed", message, node, state.n_nodes)
    again = state.fork()
    again.apply(PodRemoved(key))
    anew = msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, node_name=""))
    found = why_pending(again, anew, profile)
    return msgspec.structs.replace(found, state="placed", node=node)


def why_pending(state: ClusterState, pod: Pod, profile: Profile) -> Why:
    """Return what keeps a pod from being placed now; where it would go if nothing does."""
    found = explain(state, pod, profile)
    key, request = pod.metadata.key, state.request(pod)
    message = found.failure.message if found.failure is not None else ""
    if found.feasible:
        best = best_nodes(state, request, profile, key)
        message = message or f"fits {len(found.feasible)} of {found.n_nodes} nodes now"
        return Why(
            key,
            "pending",
            message,
            n_nodes=found.n_nodes,
            n_feasible=len(found.feasible),
            best=best,
        )
    if found.refused is not None:
        reasons = ", ".join(found.refused.reasons)
        obstacle = Obstacle(found.refused.plugin, reasons, tuple(state.node_names))
        return Why(key, "pending", message, n_nodes=found.n_nodes, obstacles=(obstacle,))
    refusals = _refusals(state, request, profile)
    refused = set(itertools.chain.from_iterable(refusals.values()))
    held = {name: why for name, why in found.rejected.items() if name not in refused}
    for name, rejection in held.items():
        # Every rule passes the node as it is: it is the room of nominated pods that is missing.
        for reason in rejection.reasons:
            refusals.setdefault((rejection.plugin, reason), []).append(name)
    return Why(
        key,
        "pending",
        message,
        n_nodes=found.n_nodes,
        obstacles=tuple(_obstacles(state, request, refusals, frozenset(held))),
        nearest=_nearest(state, request, refusals),
        ways_out=tuple(
            WayOut(way.node, way.victims, way.n_pdb_violations)
            for way in found.candidates
            if way.node in found.nominated
        )[:_MAX_WAYS],
    )


def best_nodes(
    state: ClusterState, request: PodRequest, profile: Profile, key: str
) -> tuple[ScoredNode, ...]:
    """Return the nodes with the highest totals and what each rule gave them, the best first."""
    verdicts = judge(state, request, profile, key)
    if verdicts.refused is not None:
        return ()
    slots = verdicts.feasible
    table: dict[str, NDArray[np.int64]] = {}
    try:
        for plugin, weight in profile.scores:
            if plugin.scores(state, request):
                raw = plugin.score(state, request, slots)
                table[plugin.name] = normalize(raw, plugin.normalization) * weight
    except PlacementError:
        table = {}
    totals = sum(table.values(), np.zeros(len(slots), dtype=np.int64))
    order = np.argsort(-totals, kind="stable")[:_MAX_BEST].tolist()
    return tuple(
        ScoredNode(
            state.nodes.name_of[int(slots[index])],
            int(totals[index]),
            {name: int(scores[index]) for name, scores in table.items()},
        )
        for index in order
    )


_Refusals = dict[tuple[str, str], list[str]]


def _refusals(state: ClusterState, request: PodRequest, profile: Profile) -> _Refusals:
    """Return by rule and reason which nodes are refused, every rule asked about every node."""
    slots = np.flatnonzero(state.exists)
    names = [state.nodes.name_of[slot] for slot in slots.tolist()]
    refusals: _Refusals = {}
    for rule in profile.filters:
        codes = rule.filter(state, request, slots)
        if codes is None:
            continue
        for code in distinct(codes[codes != 0]):
            refused = np.flatnonzero(codes == code).tolist()
            for reason in rule.rejection(state, request, code).reasons:
                refusals.setdefault((rule.name, reason), []).extend(names[i] for i in refused)
    return refusals


def _obstacles(
    state: ClusterState, request: PodRequest, refusals: _Refusals, held: frozenset[str]
) -> Iterator[Obstacle]:
    for (rule, reason), refused in sorted(refusals.items(), key=lambda item: -len(item[1])):
        nodes = sorted(refused)
        found: dict[str, list[str]] = {}
        if rule == "NodeResourcesFit":
            found = dict(_closest(state, request, reason, nodes))
        else:
            for name in nodes[:_MAX_ASKED]:
                for text in _facts(state, request, rule, name):
                    found.setdefault(text, []).append(name)
        if promised := [name for name in nodes if name in held]:
            found.setdefault("room is held there for nominated pods", promised)
        told = tuple(
            Fact(text, tuple(names))
            for text, names in sorted(found.items(), key=lambda item: -len(item[1]))
        )
        yield Obstacle(rule, reason, tuple(nodes), told)


def _facts(state: ClusterState, request: PodRequest, rule: str, name: str) -> Iterable[str]:
    slot = state.slot_of(name)
    return () if slot is None else facts(state, request, rule, slot)


def _closest(
    state: ClusterState, request: PodRequest, reason: str, nodes: Sequence[str]
) -> Iterator[tuple[str, list[str]]]:
    """Yield how far the nodes are from having enough of the resource that a reason names."""
    wanted = "pods" if reason == "Too many pods" else reason.removeprefix("Insufficient ")
    fullest: list[str] = []
    too_small: list[str] = []
    nearest: tuple[int, int, int, str] | None = None
    asks = 0
    for name in nodes:
        slot = state.slot_of(name)
        for resource, asked, free, there in shortages(state, request, slot or 0):
            if resource != wanted:
                continue
            asks = asked
            fullest.append(name)
            if asked > there:
                too_small.append(name)
            if nearest is None or free > nearest[0]:
                nearest = (free, asked, there, name)
    if nearest is None:
        return
    free, asked, there, name = nearest
    if wanted == "pods":
        yield f"the nodes hold as many pods as they may, {name} {there}", fullest
        return
    text = (
        f"asks for {shown_amount(wanted, asked)} {wanted}; most is free on {name}: "
        f"{shown_amount(wanted, max(free, 0))} of {shown_amount(wanted, there)}, "
        f"{shown_amount(wanted, asked - max(free, 0))} short"
    )
    yield text, fullest
    if too_small:
        yield f"even empty they would not have {shown_amount(wanted, asks)} {wanted}", too_small


def _nearest(state: ClusterState, request: PodRequest, refusals: _Refusals) -> tuple[NearMiss, ...]:
    """Return the nodes that the fewest reasons refuse."""
    reasons: dict[str, list[tuple[str, str]]] = {}
    for found, nodes in refusals.items():
        for name in nodes:
            reasons.setdefault(name, []).append(found)
    names = [name for name in reasons if state.slot_of(name) is not None]
    slots = np.array([state.slot_of(name) for name in names], dtype=np.intp)
    n_reasons = np.array([len(reasons[name]) for name in names], dtype=np.int64)
    order = np.lexsort((shortfall(state, request, slots), n_reasons))
    misses = []
    for name in [names[place] for place in order[:_MAX_NEAREST].tolist()]:
        needs: list[str] = []
        for rule, reason in reasons[name]:
            needs += _facts(state, request, rule, name) or (reason,)
        misses.append(NearMiss(name, tuple(dict.fromkeys(needs))))
    return tuple(misses)
