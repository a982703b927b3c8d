"""A plan as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubeberth.api.requests import shown_amount
from kubeberth.placement.why import Obstacle
from kubeberth.planner.assertions import Checked
from kubeberth.planner.plan import Pending, Plan, Removed, Workload
from kubeberth.planner.words import headline, names, notes, percent, shown_uses, warnings

_FACTS_SHOWN = 5
_REMOVED_SHOWN = 20


def to_text(plan: Plan, checked: Sequence[Checked] = ()) -> str:
    """Return a plan as people read it, without a newline at the end."""
    parts = [
        warnings(plan.warnings),
        [headline(plan)],
        _workloads(plan),
        _pending(plan.pending),
        _removed(plan.removed),
        [f"{stuck.what}: {stuck.why}" for stuck in plan.stuck],
        _zones(plan),
        _assertions(checked),
        notes(plan),
    ]
    return "\n\n".join("\n".join(lines) for lines in map(list, parts) if lines)


def table(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return rows as lines of aligned columns; all but the first ones lean to the right.

    Parameters
    ----------
    left
        How many of the first columns lean to the left; the last column does, too.
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    last = len(widths) - 1
    return [
        "  ".join(
            cell.ljust(widths[i]) if i < left or i == last else cell.rjust(widths[i])
            for i, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]


def _workloads(plan: Plan) -> list[str]:
    if not plan.workloads:
        return []
    zones = sorted({zone for workload in plan.workloads for zone in workload.zones})
    header = ["WORKLOAD", "PODS", "PLACED", "PENDING", *zones, "NODES"]
    rows = [header, *(_row(workload, zones) for workload in plan.workloads)]
    return [*table(rows), *_rollouts(plan.workloads)]


def _row(workload: Workload, zones: Sequence[str]) -> list[str]:
    nodes = [f"{name} x{n}" if n > 1 else name for name, n in workload.nodes.items()]
    return [
        title(workload),
        str(workload.wanted),
        str(workload.placed),
        str(workload.pending),
        *(str(workload.zones.get(zone, 0)) for zone in zones),
        names(nodes) or "-",
    ]


def title(workload: Workload) -> str:
    """Return what a workload is called; the namespace only when it is not the default one."""
    where = "" if workload.namespace == "default" else f"{workload.namespace}/"
    return f"{workload.kind}/{where}{workload.name}"


def _rollouts(workloads: Iterable[Workload]) -> list[str]:
    return [f"{title(w)}: the rollout is stuck: {w.rollout}" for w in workloads if w.rollout]


def _pending(groups: Sequence[Pending]) -> Iterator[str]:
    for group in groups:
        yield f"PENDING {names(group.pods)}: {group.message}"
        for obstacle in group.obstacles:
            yield from _obstacle(obstacle)


def _obstacle(obstacle: Obstacle) -> Iterator[str]:
    yield f"    {obstacle.reason}: {names(obstacle.nodes)}"
    facts = sorted(obstacle.facts, key=lambda fact: -len(fact.nodes))
    for fact in facts[:_FACTS_SHOWN]:
        yield f"        {fact.text}: {names(fact.nodes)}"
    if len(facts) > _FACTS_SHOWN:
        yield f"        and {len(facts) - _FACTS_SHOWN} more"


def _removed(removed: Sequence[Removed]) -> list[str]:
    lines = [
        f"{pod.why.upper()} {pod.pod} (priority {pod.priority}) on {pod.node}{_how(pod)}"
        for pod in removed[:_REMOVED_SHOWN]
    ]
    n_more = len(removed) - _REMOVED_SHOWN
    return [*lines, f"and {n_more} more"] if n_more > 0 else lines


def _how(pod: Removed) -> str:
    by = f", by {pod.by}" if pod.by else ""
    return by if pod.returns else f"{by}; nothing makes it again"


def _zones(plan: Plan) -> list[str]:
    rows = [["ZONE", "RESOURCE", "ALLOCATABLE", "BEFORE", "AFTER", ""]]
    for zone, resource, use in shown_uses(plan):
        there, whole = shown_amount(resource, use.allocatable), use.allocatable
        shares = percent(use.before, whole), percent(use.after, whole)
        rows.append([zone or "-", resource, there, *shares, bar(use.after, whole)])
    return table(rows, left=2) if len(rows) > 1 else []


def bar(part: int, whole: int, width: int = 20) -> str:
    """Return a share as a bar."""
    filled = round(width * min(part, whole) / whole) if whole else 0
    return "#" * filled + "." * (width - filled)


def _assertions(checked: Sequence[Checked]) -> list[str]:
    return [
        f"ok      {entry.text}" if entry.holds else f"FAILED  {entry.text}: {entry.why}"
        for entry in checked
    ]
