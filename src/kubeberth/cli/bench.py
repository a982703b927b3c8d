"""`berth bench`: how fast things are on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

import click
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from kubeberth.bench import engine
from kubeberth.bench.workloads import WORKLOADS, Workload, workload_named
from kubeberth.cli import bench_api, bench_cluster, bench_nodes, bench_workloads
from kubeberth.cli.bench_tables import figures_table

P = ParamSpec("P")
T = TypeVar("T")

Result = engine.Rate | engine.Latencies | engine.Footprint


@click.group("bench")
def command() -> None:
    """Measure how fast things are on this machine."""


command.add_command(bench_api.command)
command.add_command(bench_cluster.command)
command.add_command(bench_nodes.command)
command.add_command(bench_workloads.command)


@command.command("engine")
@click.option(
    "--nodes",
    type=click.IntRange(1),
    multiple=True,
    default=(1000, 5000),
    show_default=True,
    help="How many nodes; may be given several times.",
)
@click.option("--pods", type=click.IntRange(100), default=4500, show_default=True)
@click.option(
    "--placed-per-node",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Pods on every node beforehand.",
)
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--only", "text", metavar="TEXT", default="", help="Workloads whose name has this in it."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def engine_command(
    nodes: tuple[int, ...],
    pods: int,
    placed_per_node: int,
    repeats: int,
    text: str,
    as_json: bool,
) -> None:
    """Measure the placement engine alone: decisions a second, latencies, memory.

    Every decision counts with the assumption of its pod, so that the next one sees it.
    """
    workloads = [workload for workload in WORKLOADS if text in workload.name]
    if not workloads:
        names = ", ".join(repr(workload.name) for workload in WORKLOADS)
        raise click.UsageError(f"no workload has {text!r} in its name; there are {names}")
    results: list[Result] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(nodes) * (len(workloads) + 2))
        for n_nodes in nodes:
            for name, result in _measure(workloads, n_nodes, pods, placed_per_node, repeats):
                progress.update(task, description=f"{n_nodes} nodes: {name}")
                if result is not None:
                    results.append(result)
                    progress.advance(task)
    if as_json:
        for result in results:
            sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
        return
    console = Console()
    for n_nodes in nodes:
        rates = [r for r in results if isinstance(r, engine.Rate) and r.n_nodes == n_nodes]
        console.print(_table_of_rates(rates, f"{n_nodes:,} nodes, pods placed one after the other"))
    console.print(_table_of_latencies([r for r in results if isinstance(r, engine.Latencies)]))
    console.print(_table_of_footprints([r for r in results if isinstance(r, engine.Footprint)]))


def _measure(
    workloads: list[Workload], n_nodes: int, n_pods: int, placed_per_node: int, repeats: int
) -> Iterator[tuple[str, Result | None]]:
    """Yield what is being measured, each first without and then with its result.

    Each is measured in a process of its own, so that none pays for what another has left behind.
    """
    n_placed = n_nodes * placed_per_node
    yield "memory", None
    yield "memory", _in_fresh_process(engine.measure_footprint, n_nodes, n_placed)
    for workload in workloads:
        yield workload.name, None
        sizes = n_nodes, n_pods, n_placed, repeats
        yield workload.name, _in_fresh_process(_measure_rate, workload.name, *sizes)
    yield "latencies", None
    yield "latencies", _in_fresh_process(engine.measure_latencies, n_nodes, repeats)


def _measure_rate(name: str, *sizes: int) -> engine.Rate:
    return engine.measure_rate(workload_named(name), *sizes)


def _in_fresh_process(measure: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, *args, **kwargs).result()


def _table_of_rates(rates: list[engine.Rate], title: str) -> Table:
    table = figures_table(title, "workload", "decisions/s", "slowest", "p50 us", "p99 us")
    for rate in rates:
        is_short = rate.n_placed < rate.n_pods
        table.add_row(
            rate.workload + (f" ({rate.n_placed:,} of {rate.n_pods:,})" if is_short else ""),
            f"{rate.per_second:,.0f}",
            f"{rate.slowest:,.0f}",
            f"{rate.p50_us:.1f}",
            f"{rate.p99_us:.1f}",
        )
    return table


def _table_of_latencies(latencies: list[engine.Latencies]) -> Table:
    names = ("nodes", "first sight", "explanation", "refusal", "first victims", "victims")
    table = figures_table("Single questions, ms", *names)
    for entry in latencies:
        figures = (
            entry.first_sight,
            entry.explanation,
            entry.refusal,
            entry.first_victims,
            entry.victims,
        )
        table.add_row(f"{entry.n_nodes:,}", *(f"{figure:,.2f}" for figure in figures))
    return table


def _table_of_footprints(footprints: list[engine.Footprint]) -> Table:
    table = figures_table("The engine's picture of the cluster", "nodes", "pods", "MiB", "build s")
    for entry in footprints:
        table.add_row(
            f"{entry.n_nodes:,}",
            f"{entry.n_pods:,}",
            f"{entry.mebibytes:,.0f}",
            f"{entry.seconds_to_build:.2f}",
        )
    return table
