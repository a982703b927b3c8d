"""How benchmarks of a whole cluster run: one step after the other, until the end or Ctrl-C.

With the options that they have in common.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TypeVar

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from kubeberth.bench.apiserver import LoadGenerator
from kubeberth.bench.cluster import OwnCluster

# What a shell says of a command that Ctrl-C has ended.
INTERRUPTED = 130

R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., object])
Tell = Callable[[int], None]
"""Is told how many pods are done."""

Step = tuple[str, int, Callable[[Tell], R]]
"""What is measured: its name, how many pods that are, and how."""

nodes_option = click.option(
    "--nodes", type=click.IntRange(1, 10_000), default=500, show_default=True
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")


def connections_option(clients: str) -> Callable[[F], F]:
    """Return the option for how many clients do something at once."""
    return click.option(
        "--connections",
        type=click.IntRange(1),
        default=16,
        show_default=True,
        help=f"How many clients {clients} at once.",
    )


def run(
    steps: Generator[Step[R], None, None],
    tables: Callable[[Sequence[R]], Iterable[Table]],
    *,
    as_json: bool,
) -> None:
    """Take each step, and print what is known, whatever happens."""
    # `kill` ends it as Ctrl-C does: with what is known so far, and nothing left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results: list[R] = []
    is_interrupted = False
    try:
        _measure(steps, into=results)
    except KeyboardInterrupt:
        is_interrupted = True
    if as_json:
        for result in results:
            sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
    else:
        Console().print(*tables(results))
    if is_interrupted:
        click.echo("Interrupted.", err=True)
        raise SystemExit(INTERRUPTED)


def _measure(steps: Generator[Step[R], None, None], *, into: list[R]) -> None:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    with closing(steps), progress:
        task = progress.add_task("starting the cluster", total=None)
        for name, total, measure in steps:
            progress.reset(task, total=total, description=name)
            into.append(measure(lambda done: progress.update(task, completed=done)))


@contextmanager
def loaded(
    n_nodes: int, kubeconfig: Path | None, load_module: str
) -> Iterator[tuple[LoadGenerator, OwnCluster | None]]:
    """Give a load on a cluster: on one of its own, which lives so long, without a kubeconfig."""
    with ExitStack() as stack:
        own = None
        if kubeconfig is None:
            own = stack.enter_context(OwnCluster(n_nodes))
            own.wait()
            kubeconfig = own.kubeconfig
        yield stack.enter_context(LoadGenerator(kubeconfig, load_module)), own
