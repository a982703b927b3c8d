"""Why a pod is where it is, or nowhere: the answer as data, and as text to be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from kubeberth.placement.remedies.remedy import Conflict, Remedy

_MAX_NAMES = 6
_MAX_FACTS = 4


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
        `pending`, `gated`, `placed`, `ended`, `evicted` in a plan, or `unknown` for a pod that no
        scheduler here answers for.
    at
        When it was decided; empty when it is worked out from how things are now.
    message
        One line: kube-scheduler's message, or where the pod went.
    best
        Nodes with the highest totals, the best first.
    remedies
        What would help, the smallest change first, if somebody has looked for it.
    conflict
        The rules that no node meets together, if somebody has looked for them.
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
    remedies: tuple[Remedy, ...] = ()
    conflict: Conflict | None = None
    queue: dict[str, object] = {}

    def __str__(self) -> str:
        return "\n".join(_lines(self))


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
    yield from _conflict(why.conflict)
    if why.ways_out:
        yield ""
    for way in why.ways_out:
        yield f"Would fit {way.node} without {_names(way.victims)}"
    yield from _remedies(why.remedies)
    if why.best:
        yield ""
        yield "Best nodes" + (f" at {why.at}:" if why.at else " as things are now:")
        yield from _table(why.best, why.node)
        yield from _runner_up(why.best, why.node)


def _conflict(conflict: Conflict | None) -> Iterator[str]:
    if conflict is None or not conflict.rules:
        return
    yield ""
    if len(conflict.rules) == 1:
        yield f"No node meets: {conflict.rules[0].text}"
        return
    yield "No node meets all of these; without any one of them, some node would do:"
    for rule in conflict.rules:
        nodes = "1 node" if rule.nodes == 1 else f"{rule.nodes} nodes"
        yield f"    {rule.text}  (by itself: {nodes})"


def _remedies(remedies: Sequence[Remedy]) -> Iterator[str]:
    if remedies:
        yield ""
        yield "What would help, the smallest change first:"
    for number, remedy in enumerate(remedies, 1):
        yield f"    {number}. {remedy.text}  -> {remedy.node}{_moved(remedy.moved)}"
        for command in remedy.commands:
            yield from (f"       {line}" for line in command.splitlines())


def _moved(moved: Mapping[str, str]) -> str:
    places = [f"{pod} goes to {node}" for pod, node in moved.items() if node]
    waiting = [pod for pod, node in moved.items() if not node]
    if waiting:
        places.append(f"{_names(waiting)} would be pending")
    return f" ({', '.join(places)})" if places else ""


def _runner_up(best: Sequence[ScoredNode], chosen: str) -> Iterator[str]:
    """Yield what made the difference between the chosen node and the best of the others."""
    here = next((row for row in best if row.node == chosen), None)
    there = next((row for row in best if row.node != chosen), None)
    if here is None or there is None:
        return
    apart = {rule: here.scores[rule] - there.scores.get(rule, 0) for rule in here.scores}
    told = ", ".join(f"{rule} {by:+}" for rule, by in apart.items() if by)
    yield ""
    if here.total == there.total:
        yield f"{there.node} is as good" + (f" ({told})" if told else "")
    elif here.total > there.total:
        yield f"{chosen} is ahead of {there.node} by {here.total - there.total}: {told}"
    else:
        yield f"{there.node} would be better now, by {there.total - here.total}: {told}"


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
