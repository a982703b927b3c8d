"""`berth bench workloads`: how soon Deployments have the pods that they shall have."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import click
from rich.table import Table

from kubeberth.bench.deployments import LOAD_MODULE, Measurement, Plan, Settled
from kubeberth.cli.bench_run import Step, connections_option, json_option, loaded, nodes_option, run
from kubeberth.cli.bench_tables import cost_tables, figures_table
from kubeberth.clock import SystemClock


@click.command("workloads")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Measure this cluster.  [default: one in a temporary folder]",
)
@nodes_option
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
@connections_option("create Deployments")
@json_option
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
    plan = Plan(nodes, replicas, deployments, connections=connections)
    run(_steps(plan, kubeconfig), _tables, as_json=as_json)


def _steps(plan: Plan, kubeconfig: Path | None) -> Generator[Step[Settled], None, None]:
    with (
        loaded(plan.nodes, kubeconfig, LOAD_MODULE) as (load, own),
        Measurement(load, plan, SystemClock(), own).namespace() as measurement,
    ):
        yield "pods that run", plan.replicas, measurement.large
        yield "pods that are gone", plan.replicas, measurement.scaled_down
        yield "pods that run", plan.deployments * plan.small, measurement.many


def _tables(results: Sequence[Settled]) -> list[Table]:
    names = ("workload", "all run s", "all available s", "all gone s")
    times = figures_table("Deployments from the first request on", *names)
    for entry in results:
        seconds = (entry.running_s, entry.available_s, entry.gone_s)
        times.add_row(_title(entry), *("-" if s is None else f"{s:.1f}" for s in seconds))
    return [times, *cost_tables([(_title(entry), entry.costs) for entry in results])]


def _title(entry: Settled) -> str:
    which = f"{entry.n_deployments:,} of {entry.replicas:,} replicas"
    return f"{which}, {entry.wish}"
