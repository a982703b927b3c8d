"""`berth bench nodes`: how soon nodes run pods, and what they take while nothing happens."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence

import click
from rich.table import Table

from kubeberth.bench.apiserver import LoadGenerator
from kubeberth.bench.cluster import OwnCluster
from kubeberth.bench.nodes import LOAD_MODULE, Idle, Measurement, Plan, Started
from kubeberth.cli.bench_run import Step, connections_option, json_option, nodes_option, run
from kubeberth.cli.bench_tables import cost_tables, figures_table
from kubeberth.clock import SystemClock

Result = Started | Idle


@click.command("nodes")
@nodes_option
@click.option("--pods-per-node", type=click.IntRange(0, 100), default=10, show_default=True)
@click.option(
    "--idle",
    "idle_s",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    help="For how many seconds nothing happens.",
)
@connections_option("create pods")
@json_option
def command(
    nodes: int, pods_per_node: int, idle_s: float, connections: int, *, as_json: bool
) -> None:
    """Measure nodes: how soon they run the pods they are given, and what they take while idle.

    A cluster in a temporary folder is complete but for what would place pods: each pod names its
    node. Once they all run, signs of life are all that happens for a while.
    """
    plan = Plan(nodes, pods_per_node, idle_s, connections=connections)
    run(_steps(plan), _tables, as_json=as_json)


def _steps(plan: Plan) -> Generator[Step[Result], None, None]:
    with OwnCluster(plan.nodes) as cluster:
        cluster.wait()
        with LoadGenerator(cluster.kubeconfig, LOAD_MODULE) as load:
            measurement = Measurement(load, plan, SystemClock(), cluster, time.sleep)
            if plan.pods_per_node:
                yield "pods that run", plan.nodes * plan.pods_per_node, measurement.started
            yield "idle seconds", int(plan.idle_s), measurement.idle


def _tables(results: Sequence[Result]) -> list[Table]:
    starts = figures_table("Pods that name their nodes", "nodes", "pods", "created/s", "running/s")
    idles = figures_table("Idle", "nodes", "pods", "writes/s", "expected", "nodes: % of a core")
    rows = []
    for entry in results:
        sizes = f"{entry.n_nodes:,}", f"{entry.n_pods:,}"
        if isinstance(entry, Started):
            rates = entry.created_per_second, entry.running_per_second
            starts.add_row(*sizes, *(f"{rate:,.0f}" for rate in rates))
            rows.append(("starting pods", entry.costs))
        else:
            writes = entry.writes_per_second, entry.budget_per_second
            used = next((cost.cpu_s for cost in entry.costs if cost.process == "nodes"), None)
            share = "-" if used is None else f"{used / entry.seconds * 100:.1f}"
            idles.add_row(*sizes, *(f"{rate:,.1f}" for rate in writes), share)
            rows.append((f"idle for {entry.seconds:.0f} s", entry.costs))
    return [*(table for table in (starts, idles) if table.row_count), *cost_tables(rows)]
