"""A plan as Markdown, such as a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubeberth.api.requests import shown_amount
from kubeberth.planner.assertions import Checked
from kubeberth.planner.plan import Pending, Plan
from kubeberth.planner.reports.text import title
from kubeberth.planner.words import headline, names, notes, percent, shown_uses, warnings


def to_markdown(plan: Plan, checked: Sequence[Checked] = ()) -> str:
    """Return a plan as Markdown, without a newline at the end."""
    sections = (
        [f"### Plan: {headline(plan)}"],
        _workloads(plan),
        _pending(plan.pending),
        _removed(plan),
        _zones(plan),
        _assertions(checked),
        [f"- :warning: {line}" for line in warnings(plan.warnings)],
        [f"- :information_source: {line}" for line in notes(plan)],
    )
    return "\n\n".join("\n".join(lines) for lines in map(list, sections) if lines)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _row(header)
    yield _row(["---"] * len(header))
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _workloads(plan: Plan) -> Iterator[str]:
    if not plan.workloads:
        return
    zones = sorted({zone for workload in plan.workloads for zone in workload.zones})
    rows = [
        [
            f"`{title(w)}`",
            str(w.wanted),
            str(w.placed),
            str(w.pending),
            *(str(w.zones.get(zone, 0)) for zone in zones),
            f"stuck: {w.rollout}" if w.rollout else "",
        ]
        for w in plan.workloads
    ]
    yield from _table(["workload", "pods", "placed", "pending", *zones, "rollout"], rows)


def _pending(groups: Sequence[Pending]) -> Iterator[str]:
    for group in groups:
        yield f"- :x: **{names(group.pods)}** pending: {group.message}"
        for obstacle in group.obstacles:
            facts = "; ".join(fact.text for fact in obstacle.facts[:3])
            yield f"  - {obstacle.reason} ({names(obstacle.nodes)}){': ' + facts if facts else ''}"


def _removed(plan: Plan) -> Iterator[str]:
    for pod in plan.removed:
        by = f" by `{pod.by}`" if pod.by else ""
        yield f"- :warning: `{pod.pod}` on {pod.node} is {pod.why}{by}"
    for stuck in plan.stuck:
        yield f"- :x: {stuck.what}: {stuck.why}"


def _zones(plan: Plan) -> Iterator[str]:
    rows = [
        [
            zone or "-",
            resource,
            shown_amount(resource, use.allocatable),
            percent(use.before, use.allocatable),
            percent(use.after, use.allocatable),
        ]
        for zone, resource, use in shown_uses(plan)
    ]
    if rows:
        yield from _table(["zone", "resource", "allocatable", "before", "after"], rows)


def _assertions(checked: Sequence[Checked]) -> Iterator[str]:
    for entry in checked:
        if entry.holds:
            yield f"- :white_check_mark: {entry.text}"
        else:
            yield f"- :x: {entry.text}: {entry.why}"
