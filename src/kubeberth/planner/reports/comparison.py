"""Two plans side by side, as text and as JSON."""

from __future__ import annotations

import msgspec

from kubeberth.planner.compare import Comparison, WorkloadChange
from kubeberth.planner.reports.text import table


def to_json(comparison: Comparison) -> str:
    """Return a comparison as JSON."""
    return msgspec.json.format(msgspec.json.encode(comparison), indent=2).decode()


def to_text(comparison: Comparison) -> str:
    """Return a comparison as people read it, without a newline at the end."""
    rows = [
        ["", "FIRST", "SECOND"],
        _row("pods placed", comparison.placed),
        _row("pending", comparison.pending),
        _row("preempted", comparison.preempted),
        _row("nodes used", comparison.nodes_used),
        *(
            _row(f"{name} of the fullest node", shares, "%")
            for name, shares in comparison.fullest.items()
        ),
    ]
    lines = table(rows)
    if not comparison.workloads:
        return "\n".join([*lines, "", "every pod lands on the same node"])
    header = ["WORKLOAD", "MOVED", "NODES USED", "ZONES, FIRST", "ZONES, SECOND"]
    changes = table([header, *map(_change, comparison.workloads)])
    return "\n".join([*lines, "", *changes])


def _row(name: str, pair: tuple[int, int], unit: str = "") -> list[str]:
    return [name, f"{pair[0]}{unit}", f"{pair[1]}{unit}"]


def _change(change: WorkloadChange) -> list[str]:
    used = " -> ".join(map(str, change.nodes_used))
    first, second = (" ".join(f"{zone}:{n}" for zone, n in zones.items()) for zones in change.zones)
    where = "" if change.namespace == "default" else f"{change.namespace}/"
    return [f"{change.kind}/{where}{change.name}", str(change.moved), used, first, second]
