"""`berth bench workloads`: how soon Deployments have the pods that they shall have."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from kubeberth.bench.apiserver import LoadGenerator
from kubeberth.bench.cluster import OwnCluster
from kubeberth.bench.deployments import LOAD_MODULE, Measurement, Plan, Settled
from kubeberth.cli.bench_cluster import INTERRUPTED
from kubeberth.cli.bench_tables import cost_tables, figures_table
from kubeberth.clock import SystemClock


@click.command("workloads")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Measure this cluster.  [default: one in a temporary folder]",
)
@click.option("--nodes", type=click.IntRange(1, 10_000), default=500, show_default=True)
@click.option(
    "--replicas",
    type=click.IntRange(1),
    default=5000,
    show_default=True,
    help="Of one large Deployment.",
)
@click.option(
    "--deployments",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    help="Small ones, of three replicas each, that are created at once.",
)
@click.option(
    "--connections",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    help="How many clients create Deployments at once.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(
    kubeconfig: Path | None,
    nodes: int,
    replicas: int,
    deployments: int,
    connections: int,
    as_json: bool,
) -> None:
    """Measure controllers: how soon Deployments have the pods that they shall have.

    One of many replicas is created and scaled to zero, then many of three replicas are created at
    once, in a cluster that is complete: every pod is made, placed, started and counted.

    With --kubeconfig that happens in a namespace of a cluster of yours, which is removed
    afterwards.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = Plan(nodes, replicas, deployments, connections=connections)
    results: list[Settled] = []
    is_interrupted = False
    try:
        _measure(plan, kubeconfig, into=results)
    except KeyboardInterrupt:
        is_interrupted = True
    if as_json:
        for result in results:
            sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
    else:
        Console().print(*_tables(results))
    if is_interrupted:
        click.echo("Interrupted.", err=True)
        raise SystemExit(INTERRUPTED)


def _measure(plan: Plan, kubeconfig: Path | None, *, into: list[Settled]) -> None:
    """Measure one thing after the other; what is known is there whatever happens next."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting the cluster", total=None)
        with _measurement(plan, kubeconfig) as measurement:
            for name, total, measure in (
                ("pods that run", plan.replicas, measurement.large),
                ("pods that are gone", plan.replicas, measurement.scaled_down),
                ("pods that run", plan.deployments * plan.small, measurement.many),
            ):
                progress.reset(task, total=total, description=name)
                into.append(measure(lambda done: progress.update(task, completed=done)))


@contextmanager
def _measurement(plan: Plan, kubeconfig: Path | None) -> Iterator[Measurement]:
    """Give what measures a cluster, which lives so long."""
    with ExitStack() as stack:
        own = None
        if kubeconfig is None:
            own = stack.enter_context(OwnCluster(plan.nodes))
            own.wait()
            kubeconfig = own.kubeconfig
        load = stack.enter_context(LoadGenerator(kubeconfig, LOAD_MODULE))
        measurement = Measurement(load, plan, SystemClock(), own)
        yield stack.enter_context(measurement.namespace())


def _tables(results: list[Settled]) -> list[Table]:
    names = ("workload", "all run s", "all available s", "all gone s")
    times = figures_table("Deployments from the first request on", *names)
    for entry in results:
        seconds = (entry.running_s, entry.available_s, entry.gone_s)
        times.add_row(_title(entry), *("-" if s is None else f"{s:.1f}" for s in seconds))
    return [times, *cost_tables([(_title(entry), entry.costs) for entry in results])]


def _title(entry: Settled) -> str:
    which = f"{entry.n_deployments:,} of {entry.replicas:,} replicas"
    return f"{which}, {entry.wish}"
