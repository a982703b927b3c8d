"""`berth bench cluster`: how soon pods have a node in a cluster that is complete."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

import click
from rich.table import Table

from kubeberth.bench import cluster
from kubeberth.bench.cluster import Measurement, Placement, Plan, Result, SchedulerStart
from kubeberth.bench.workloads import WORKLOADS, Workload
from kubeberth.cli.bench_run import Step, connections_option, json_option, loaded, nodes_option, run
from kubeberth.cli.bench_tables import cost_tables, figures_table
from kubeberth.clock import SystemClock

DEFAULT_WORKLOADS = (
    "basic",
    "host anti-affinity",
    "zone affinity",
    "preferred zone affinity",
    "hard zone spread",
)


@click.command("cluster")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Measure this cluster.  [default: one in a temporary folder]",
)
@nodes_option
@click.option(
    "--pods",
    type=click.IntRange(100),
    default=5000,
    show_default=True,
    help="How many are placed; fewer where no more of them fit.",
)
@connections_option("create pods")
@click.option(
    "--rate",
    type=click.FloatRange(0),
    default=200,
    show_default=True,
    help="Pods a second that come at a fixed rate; 0 leaves that out.",
)
@click.option(
    "--placed",
    type=click.IntRange(0),
    help="Pods that a starting scheduler finds.  [default: ten for each node]",
)
@click.option(
    "--only",
    "text",
    metavar="TEXT",
    default="",
    help="Workloads whose name has this in it, of all that there are; `start` is the scheduler's.",
)
@json_option
def command(
    kubeconfig: Path | None,
    nodes: int,
    pods: int,
    connections: int,
    rate: float,
    placed: int | None,
    text: str,
    as_json: bool,
) -> None:
    """Measure a whole cluster: API server, scheduler, controllers and nodes.

    Pods of the shapes that kube-scheduler's own performance suite has are created over HTTPS, by a
    process of its own that sees when each of them has a node. First as many as the cluster takes,
    then so many a second, then one that waits for a scheduler to start. Every write is on the disk
    before it is answered, and the nodes start the pods that they are given all the while.

    With --kubeconfig they go to a cluster of yours, into namespaces that are removed afterwards.
    """
    plan = Plan(nodes, pods, connections, rate, 10 * nodes if placed is None else placed)
    with_start = text in ("", "start")
    run(_steps(plan, _chosen(text), kubeconfig, with_start=with_start), _tables, as_json=as_json)


def _chosen(text: str) -> list[Workload]:
    """Return the workloads to be measured."""
    possible = [entry for entry in WORKLOADS if not entry.churns and not entry.preempts]
    if not text:
        return [entry for entry in possible if entry.name in DEFAULT_WORKLOADS]
    chosen = [entry for entry in possible if text in entry.name]
    if not chosen and text != "start":
        names = ", ".join(repr(entry.name) for entry in possible)
        raise click.UsageError(f"no workload has {text!r} in its name; there are {names}")
    return chosen


def _steps(
    plan: Plan, chosen: list[Workload], kubeconfig: Path | None, *, with_start: bool
) -> Generator[Step[Result], None, None]:
    if chosen:
        with loaded(plan.nodes, kubeconfig, cluster.LOAD_MODULE) as (load, own):
            measurement = Measurement(load, plan, SystemClock(), time.sleep, own)
            for workload in chosen:
                n_pods = measurement.n_pods(workload)
                yield workload.name, n_pods, partial(measurement.burst, workload)
            if plan.rate:
                first = chosen[0]
                name = f"{first.name}, {plan.rate:g} a second"
                yield name, measurement.n_arrivals(first), partial(measurement.arrivals, first)
    # When nothing else runs: whoever starts a scheduler has the machine to himself.
    if with_start and kubeconfig is None:
        yield "start of a scheduler", 1, lambda _: _start(plan)


def _start(plan: Plan) -> SchedulerStart:
    return cluster.measure_scheduler_start(SystemClock(), plan.nodes, plan.placed)


def _tables(results: Sequence[Result]) -> Iterator[Table]:
    """Yield a table for each kind of result that there is."""
    placements = [result for result in results if isinstance(result, Placement)]
    titles = ("workload", "pods", "bound/s", "created/s", "p50 ms", "p99 ms", "all run s")
    rates = figures_table("Pods from created to bound", *titles)
    answers = figures_table("Until their requests were answered", "workload", "p50 ms", "p99 ms")
    rows = []
    for entry in placements:
        name = entry.workload + (f", {entry.rate:g} a second" if entry.rate else "")
        rows.append((name, entry.costs))
        of = "" if entry.n_bound == entry.n_pods else f" of {entry.n_pods:,}"
        runs = "-" if entry.running_s is None else f"{entry.running_s:.1f}"
        figures = (f"{entry.per_second:,.0f}", f"{entry.created_per_second:,.0f}")
        delays = (f"{entry.p50_ms:,.1f}", f"{entry.p99_ms:,.1f}")
        until = (f"{entry.answered_p50_ms:,.1f}", f"{entry.answered_p99_ms:,.1f}")
        answers.add_row(name, *until)
        rates.add_row(name, f"{entry.n_bound:,}{of}", *figures, *delays, runs)
    starts = figures_table("Start of a scheduler", "nodes", "pods", "s", "MiB")
    for result in results:
        if isinstance(result, SchedulerStart):
            figures = (f"{result.seconds:.2f}", f"{result.mebibytes:,.0f}")
            starts.add_row(f"{result.n_nodes:,}", f"{result.n_pods:,}", *figures)
    return (table for table in (rates, answers, *cost_tables(rows), starts) if table.row_count)
