"""`berth bench api`: how fast an API server is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from kubeberth.bench import apiserver
from kubeberth.bench.apiserver import (
    FanOut,
    IdleWatches,
    Listing,
    LoadGenerator,
    Measurement,
    OwnServer,
    Plan,
    Result,
    Start,
    Writes,
)
from kubeberth.cli.bench_tables import figures_table
from kubeberth.clock import SystemClock

Step = tuple[str, Callable[[], Iterator[Result]]]


@click.command("api")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Measure this server.  [default: one in a temporary folder]",
)
@click.option("--pods", type=click.IntRange(100), default=10_000, show_default=True)
@click.option(
    "--connections",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="How many clients write at once.",
)
@click.option(
    "--watchers",
    type=click.IntRange(1),
    multiple=True,
    default=(10, 200, 2000),
    show_default=True,
    help="How many hear of a write; may be given several times.",
)
@click.option("--idle-watches", type=click.IntRange(1), default=1000, show_default=True)
@click.option(
    "--stored",
    type=click.IntRange(0),
    default=100_000,
    show_default=True,
    help="Objects that a starting server finds.",
)
@click.option(
    "--only", "text", metavar="TEXT", default="", help="Measurements whose name has this in it."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(
    kubeconfig: Path | None,
    pods: int,
    connections: int,
    watchers: tuple[int, ...],
    idle_watches: int,
    stored: int,
    text: str,
    as_json: bool,
) -> None:
    """Measure an API server: writes, lists, watches, memory, start.

    Everything goes over HTTPS with a client certificate, and every write is on the disk before it
    is answered. The load comes from another process on the same machine. A foreign server gets a
    namespace of its own for the while; its memory and its start are not measured.
    """
    plan = Plan(pods, connections, watchers, idle_watches=idle_watches, stored=stored)
    results: list[Result] = []
    with ExitStack() as stack, Progress(console=Console(stderr=True), transient=True) as progress:
        steps = [step for step in _steps(stack, plan, kubeconfig) if text in step[0]]
        task = progress.add_task("", total=len(steps))
        for name, measure in steps:
            progress.update(task, description=name)
            results.extend(measure())
            progress.advance(task)
    if as_json:
        for result in results:
            sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
        return
    Console().print(*_tables(results))


def _steps(stack: ExitStack, plan: Plan, kubeconfig: Path | None) -> list[Step]:
    """Return what is measured, by name; servers live as long as the stack."""
    server = None
    if kubeconfig is None:
        server = stack.enter_context(OwnServer(SystemClock()))
        server.start()
        kubeconfig = server.kubeconfig
    load = stack.enter_context(LoadGenerator(kubeconfig))
    measurement = Measurement(load, plan, server)
    of_list = Measurement(load, plan, server)
    stack.enter_context(measurement.namespace())
    stack.enter_context(of_list.namespace())
    steps: list[Step] = []
    if server is not None:
        # First: what others leave behind would be used again, and not be seen.
        steps.append(("idle watches", measurement.idle_watches))
    steps.append(("writes", measurement.writes))
    steps += [(f"watch by {n}", partial(measurement.fan_out, n)) for n in plan.watchers]
    steps.append(("list", of_list.listing))
    if server is not None:
        steps.append(("start", lambda: _starts(plan)))
    return steps


def _starts(plan: Plan) -> Iterator[Start]:
    for n_objects in (0, plan.stored):
        with OwnServer(SystemClock()) as server:
            asyncio.run(apiserver.fill(server.data_dir, n_objects))
            yield apiserver.measure_start(server, n_objects)


def _tables(results: list[Result]) -> Iterator[Table]:
    """Yield a table for each kind of result that there is."""
    writes = figures_table(
        "Objects written", "", "objects", "clients", "writes/s", "p50 ms", "p99 ms", "CPU us"
    )
    watches = figures_table("One write to the last watcher", "watchers", "median ms", "slowest ms")
    lists = figures_table("List of pods", "pods", "MiB", "first byte ms", "last byte ms")
    idle = figures_table("Idle watches", "watches", "KiB each")
    starts = figures_table("Start to /readyz", "objects", "seconds", "MiB")
    for result in results:
        match result:
            case Writes(verb, kind, n, connections, rate, p50, p99, cpu):
                used = "-" if cpu is None else f"{cpu:,.0f}"
                figures = (f"{rate:,.0f}", f"{p50:.1f}", f"{p99:.1f}", used)
                writes.add_row(f"{kind}: {verb}", f"{n:,}", str(connections), *figures)
            case FanOut(n, median, slowest):
                watches.add_row(f"{n:,}", f"{median:,.1f}", f"{slowest:,.1f}")
            case Listing(n, size, first, last):
                lists.add_row(f"{n:,}", f"{size:.1f}", f"{first:,.0f}", f"{last:,.0f}")
            case IdleWatches(n, each):
                idle.add_row(f"{n:,}", f"{each:,.1f}")
            case Start(n, seconds, size):
                starts.add_row(f"{n:,}", f"{seconds:.2f}", f"{size:,.0f}")
    return (table for table in (writes, lists, watches, idle, starts) if table.row_count)
