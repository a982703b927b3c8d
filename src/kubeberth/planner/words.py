"""Words that all reports share: headlines, shares, names of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubeberth.errors import ApiError, BerthError
from kubeberth.planner.plan import Amount, NodeUse, Plan, Warned

SHOWN_NAMES = 4
_ALWAYS_SHOWN = frozenset(("cpu", "memory"))


def headline(plan: Plan) -> str:
    """Return what a plan comes to, in one line."""
    counts = [f"{number_of(plan.n_placed, 'pod')} placed", f"{plan.n_pending} pending"]
    n_before = sum(pod.node is None and pod.was_pending for pod in plan.pods)
    if n_before:
        counts.append(f"{n_before} pending before, and still")
    n_missing = sum(max(0, w.wanted - w.placed - w.pending) for w in plan.workloads)
    if n_missing:
        counts.append(f"{n_missing} not made")
    for why in ("preempted", "evicted", "drained", "lost"):
        n_pods = sum(pod.why == why for pod in plan.removed)
        if n_pods:
            counts.append(f"{n_pods} {why}")
    return ", ".join(counts)


def number_of(count: int, noun: str) -> str:
    """Return how many there are of something."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def percent(part: int, whole: int) -> str:
    """Return a share, without decimals."""
    return "-" if not whole else f"{100 * part / whole:.0f}%"


def names(items: Sequence[str], shown: int = SHOWN_NAMES) -> str:
    """Return some names, and how many more there are."""
    more = len(items) - shown
    listed = ", ".join(items[:shown])
    return listed if more <= 0 else f"{listed} and {more} more"


def shown_uses(plan: Plan) -> Iterator[tuple[str, str, Amount]]:
    """Yield zone, resource and amounts, as far as they are worth a line: of the rare ones, used."""
    for zone, resources in sorted(of_zones(plan.nodes).items()):
        for resource, use in resources.items():
            if resource in _ALWAYS_SHOWN or use.before or use.after:
                yield zone, resource, use


def of_zones(nodes: Iterable[NodeUse]) -> dict[str, dict[str, Amount]]:
    """Return what each zone has and gives, by resource; nodes in none are in the zone ``."""
    zones: dict[str, dict[str, Amount]] = {}
    for node in nodes:
        totals = zones.setdefault(node.zone, {})
        is_there = node.change != "removed"
        for resource, use in node.resources.items():
            known = totals.get(resource, Amount(0, 0, 0))
            totals[resource] = Amount(
                known.allocatable + use.allocatable * is_there,
                known.before + use.before,
                known.after + use.after,
            )
    return zones


def notes(plan: Plan) -> list[str]:
    """Return what else there is to know of a plan: what it left alone, and what it does without."""
    lines = []
    if plan.unchanged:
        lines.append(f"left as they are: {names(plan.unchanged)}")
    if plan.passed_over:
        kinds = [f"{n} {kind}" for kind, n in plan.passed_over.items()]
        lines.append(f"passed over, as no pod is placed by them: {', '.join(kinds)}")
    if plan.left_out:
        lines.append(left_out(plan.left_out))
    if plan.uncalled:
        told = [
            f"{each.kind}/{each.name}{f' (about {each.about})' if each.about else ''}"
            for each in plan.uncalled
        ]
        lines.append(f"not called, so what they change or refuse is not in here: {names(told)}")
    lines += plan.unread
    if not plan.came_to_rest:
        lines.append("controllers go on undoing each other's work: this is but a moment of it")
    return lines


def left_out(objects: Sequence[str]) -> str:
    """Return what objects of a chart were left out."""
    return f"left out, as helm install and upgrade do not make them: {names(objects)}"


def refusals(error: BerthError) -> list[str]:
    """Return why a server refuses an object, as kubectl prints it, a line for each cause."""
    if not isinstance(error, ApiError) or error.reason != "Invalid":
        return [str(error)]
    if not (causes := error.details.get("causes")):
        return [str(error)]
    what = f'The {error.details["kind"]} "{error.details["name"]}" is invalid'
    return [f"{what}: {each.get('field', '')}: {each['message']}" for each in causes]


def warnings(warned: Iterable[Warned]) -> list[str]:
    """Return what a server warns of, a line for each object and warning."""
    return [f"{each.where}: Warning: {each.message}" for each in warned]
