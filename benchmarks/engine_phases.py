"""Where the time of a decision goes, by phase and by shape of pod.

    python benchmarks/engine_phases.py [WORKLOAD] [NODES] [PODS ON EACH]

The figures of phases include the clock that is looked at for each of them, some 0.2 us, so they are
for comparing; `berth bench engine` has the rates.
"""

from __future__ import annotations

import gc
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import wraps
from time import perf_counter_ns
from typing import Any

from kubeberth.bench.engine import build
from kubeberth.bench.workloads import WORKLOADS, Workload
from kubeberth.placement.engine import Engine
from kubeberth.placement.entries import Entries
from kubeberth.placement.ranking import Ranking
from kubeberth.placement.state import ClusterState

# What they stand for: finding the template; finding the node, of which following the log (of which
# what nodes are worth by their room, and judging anew those where rules over pods care), opening
# and shutting groups, finding out which ones there are, weighing them, and settling lineups;
# counting the pod in.
PHASES: tuple[tuple[type, str], ...] = (
    (ClusterState, "request"),
    (Ranking, "best"),
    (Ranking, "_follow"),
    (Entries, "follow"),
    (Ranking, "_judge"),
    (Ranking, "_follow_pulse"),
    (Ranking, "_count_groups"),
    (Ranking, "_weigh"),
    (Ranking, "_settle"),
    (ClusterState, "assume"),
)
N_DECISIONS = 4500

Calls = dict[tuple[int, str], list[int]]


def timed(function: Callable[..., Any], note: Callable[[int], None]) -> Callable[..., Any]:
    """Return a function that does the same and notes how many nanoseconds it took."""

    @wraps(function)
    def wrapper(*args: Any) -> Any:
        started = perf_counter_ns()
        result = function(*args)
        note(perf_counter_ns() - started)
        return result

    return wrapper


def watch(calls: Calls, shape: list[int]) -> None:
    """Have every call of a phase noted, under the shape that is decided at the moment."""
    for owner, name in PHASES:

        def note(duration: int, phase: str = f"{owner.__name__}.{name}") -> None:
            calls[shape[0], phase].append(duration)

        setattr(owner, name, timed(getattr(owner, name), note))


def decisions(workload: Workload, n_nodes: int, n_per_node: int, n_pods: int) -> Iterator[object]:
    """Yield decisions about the pods of a workload."""
    engine = Engine(build(n_nodes, n_nodes * n_per_node, workload))
    yield from engine.place_all(workload.pods(n_pods))


def main(name: str = "35 templates in turn", n_nodes: str = "5000", n_per_node: str = "0") -> None:
    """Print a line for each shape."""
    (workload,) = (workload for workload in WORKLOADS if workload.name == name)
    n_shapes, n_templates = len(workload.shapes), workload.n_templates
    calls: Calls = defaultdict(list)
    shape, totals = [0], [0] * n_shapes
    watch(calls, shape)
    n_rounds = N_DECISIONS // n_templates
    n_pods = (n_rounds + 2) * n_templates
    placing = decisions(workload, int(n_nodes), int(n_per_node), n_pods)
    for _ in range(2 * n_templates):  # every template knows every other one
        next(placing)
    calls.clear()
    gc.collect()
    gc.freeze()
    for index in range(n_rounds * n_templates):
        shape[0] = index % n_shapes
        started = perf_counter_ns()
        next(placing)
        totals[shape[0]] += perf_counter_ns() - started
    n_decisions = n_rounds * n_templates // n_shapes
    for number in range(n_shapes):
        print(f"shape {number}: {totals[number] / n_decisions / 1000:.1f} us a decision")
        for owner, name in PHASES:
            phase = f"{owner.__name__}.{name}"
            found = calls[number, phase]
            mean = sum(found) / n_decisions / 1000
            print(f"    {phase:20} {mean:5.1f} us in {len(found) / n_decisions:4.1f} calls")


if __name__ == "__main__":
    main(*sys.argv[1:])
