"""Why a pod is where it is, or nowhere: an explanation for whoever is on call, as data and text.

Where kube-scheduler's message counts each node once, by the first rule that refused it, this asks
every rule about every node: what is one step away from fitting shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from kubeberth.api.core import Pod
from kubeberth.api.requests import shown_amount
from kubeberth.placement.explain import explain
from kubeberth.placement.normalize import normalize
from kubeberth.placement.obstacles import facts, shortages
from kubeberth.placement.plugin import PlacementError
from kubeberth.placement.profile import Profile
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState
from kubeberth.placement.verdicts import judge

_MAX_BEST = 5
_MAX_NEAREST = 3
# What is not about one node can take as long as there are pods: so many nodes are asked at most.
_MAX_ASKED = 200
_MAX_NAMES = 6
_MAX_FACTS = 4
_MAX_WAYS = 3


class Fact(msgspec.Struct, frozen=True, rename="camel"):
    """Something that is in the way, and on which nodes."""

    text: str
    nodes: tuple[str, ...]


class Obstacle(msgspec.Struct, frozen=True, rename="camel"):
    """A rule that refuses nodes for a reason, in kube-scheduler's words, and what is behind it."""

    rule: str
    reason: str
    nodes: tuple[str, ...]
    facts: tuple[Fact, ...] = ()


class NearMiss(msgspec.Struct, frozen=True, rename="camel"):
    """A node that few rules refuse, and all that would have to change there."""

    node: str
    needs: tuple[str, ...]


class ScoredNode(msgspec.Struct, frozen=True, rename="camel"):
    """A node that fits, its total and what each rule gave."""

    node: str
    total: int
    scores: dict[str, int]


class WayOut(msgspec.Struct, frozen=True, rename="camel"):
    """A node that fits once its victims are gone: those that a preemption would choose."""

    node: str
    victims: tuple[str, ...]
    pdb_violations: int = 0


class Why(msgspec.Struct, frozen=True, rename="camel"):
    """Everything about one pod.

    Parameters
    ----------
    state
        `pending`, `gated`, `placed`, or `unknown` for a pod that no scheduler here answers for.
    at
        When it was decided; empty when it is worked out from how things are now.
    message
        One line: kube-scheduler's message, or where the pod went.
    best
        Nodes with the highest totals, the best first.
    """

    pod: str
    state: str
    message: str
    node: str = ""
    n_nodes: int = 0
    n_feasible: int = 0
    at: str = ""
    obstacles: tuple[Obstacle, ...] = ()
    nearest: tuple[NearMiss, ...] = ()
    ways_out: tuple[WayOut, ...] = ()
    best: tuple[ScoredNode, ...] = ()
    queue: dict[str, object] = {}

    def __str__(self) -> str:
        return "\n".join(_lines(self))


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
    held = {
        name: rejection
        for name, rejection in found.rejected.items()
        if not any(name in nodes for nodes in refusals.values())
    }
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
        for code in np.unique(codes[codes != 0]).tolist():
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
    names = sorted(reasons, key=lambda name: (len(reasons[name]), _shortfall(state, request, name)))
    misses = []
    for name in names[:_MAX_NEAREST]:
        needs: list[str] = []
        for rule, reason in reasons[name]:
            needs += _facts(state, request, rule, name) or (reason,)
        misses.append(NearMiss(name, tuple(dict.fromkeys(needs))))
    return tuple(misses)


def _shortfall(state: ClusterState, request: PodRequest, name: str) -> float:
    """Return how much is missing on a node, as shares of what is asked for."""
    slot = state.slot_of(name)
    if slot is None:
        return 0.0
    return sum((asked - free) / asked for _, asked, free, _ in shortages(state, request, slot))


# As text


def _lines(why: Why) -> Iterator[str]:
    where = f" on {why.node}" if why.node else ""
    yield f"{why.pod}: {why.state}{where}"
    if why.message:
        yield f"  {why.message}"
    if why.queue:
        yield "  " + ", ".join(_queue_lines(why.queue))
    if why.obstacles:
        yield ""
    for obstacle in why.obstacles:
        n = f"{len(obstacle.nodes)} of {why.n_nodes}" if why.n_nodes else "0"
        yield f"{n} nodes: {obstacle.reason}  [{obstacle.rule or 'not looked at'}]"
        for fact in obstacle.facts[:_MAX_FACTS]:
            on = "" if len(fact.nodes) == len(obstacle.nodes) else f"  ({_names(fact.nodes)})"
            yield f"    {fact.text}{on}"
        if len(obstacle.facts) > _MAX_FACTS:
            yield f"    and {len(obstacle.facts) - _MAX_FACTS} more"
    if why.nearest and why.n_nodes > 1:
        yield ""
        yield "Nearest to fitting:"
        for miss in why.nearest:
            yield f"    {miss.node}: {'; '.join(miss.needs)}"
    if why.ways_out:
        yield ""
    for way in why.ways_out:
        yield f"Would fit {way.node} without {_names(way.victims)}"
    if why.best:
        yield ""
        yield "Best nodes" + (f" at {why.at}:" if why.at else " as things are now:")
        yield from _table(why.best, why.node)


def _queue_lines(queue: Mapping[str, object]) -> Iterator[str]:
    yield f"{queue.get('place')} for {queue.get('forSeconds')} s"
    tries = queue.get("attempts")
    yield "1 attempt so far" if tries == 1 else f"{tries} attempts so far"
    if "backoffSeconds" in queue:
        yield f"next one in {queue['backoffSeconds']} s"


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _table(best: Sequence[ScoredNode], chosen: str) -> Iterator[str]:
    rules = list(dict.fromkeys(rule for row in best for rule in row.scores))
    rows = [["NODE", "TOTAL", *rules]]
    for row in best:
        mark = f"{row.node} *" if row.node == chosen else row.node
        scores = (str(row.scores.get(rule, 0)) for rule in rules)
        rows.append([mark, str(row.total), *scores])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [first.ljust(widths[0])]
        cells += [text.rjust(width) for text, width in zip(rest, widths[1:], strict=True)]
        yield "    " + "  ".join(cells)
