"""`berth up`: start a cluster on this machine, and say what to try next."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from kubeberth.api.node_labels import ZONE
from kubeberth.apiserver.admission_selection import AdmissionSettings
from kubeberth.cli.admission import admission_options
from kubeberth.cli.node_options import lives_option, read_lives, read_node_specs
from kubeberth.cli.options import data_dir_option
from kubeberth.cli.server_options import given_options, server_options
from kubeberth.clock import SystemClock
from kubeberth.cluster.datadir import DataDir
from kubeberth.cluster.local import LocalCluster, Wish
from kubeberth.errors import UsageError
from kubeberth.kubelet.specs import node_specs

NODES, ZONES = 3, 3


@click.command("up")
@data_dir_option
@click.option(
    "--nodes", type=click.IntRange(0, 10_000), help=f"How many nodes.  [default: {NODES}]"
)
@click.option("--zones", type=click.IntRange(1, 26), help=f"In how many zones.  [default: {ZONES}]")
@click.option(
    "-f",
    "--filename",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Node and Machine manifests, or what `kubectl get nodes -o yaml` printed; - reads "
    "standard input.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port of the API server; 0 takes a free one.  [default: last time's, or 6443 if free]",
)
@click.option(
    "--scheduler-config",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="A KubeSchedulerConfiguration for the scheduler.  [default: last time's]",
)
@lives_option
@server_options
@admission_options
@click.option("--detach", is_flag=True, help="Return when it is ready; `berth down` stops it.")
def command(
    data_dir: Path,
    nodes: int | None,
    zones: int | None,
    filename: Path | None,
    port: int | None,
    scheduler_config: Path | None,
    lives: Path | None,
    detach: bool,
    admission: AdmissionSettings | None,
    **server: Any,
) -> None:
    """Start a cluster on this machine: API server, scheduler, controllers and nodes.

    What is in it is kept in the data directory: the next `berth up` brings it back, with the same
    nodes unless told otherwise.

    \b
    berth up --nodes 6 --zones 3
    berth up -f nodes.yaml --data-dir ./lab --detach
    """
    clock = SystemClock()
    started_at = clock.monotonic()
    datadir = DataDir(data_dir)
    wish = Wish(
        port,
        _wished_nodes(nodes, zones, filename),
        _configuration(scheduler_config),
        admission,
        given_options(server),
        read_lives(lives)[0] if lives is not None else None,
    )

    def run(say_ready: Callable[[str], None]) -> None:
        cluster = LocalCluster(
            datadir,
            wish,
            default_nodes=lambda: _manifests(NODES, ZONES),
            clock=clock,
            tell=lambda line: click.echo(line, err=True),
        )

        def ready() -> None:
            say_ready(_summary(cluster, datadir, clock.monotonic() - started_at))

        asyncio.run(_run_until_told(cluster, ready))

    if detach:
        _in_background(datadir, run)
        return
    run(lambda summary: click.echo(f"{summary}\n\nCtrl-C stops it."))
    click.echo("\nStopped. `berth up` brings it back.")


def _configuration(path: Path | None) -> str | None:
    """Return the text of the scheduler's configuration, having made sure that it is one."""
    if path is None:
        return None
    # The placement engine takes longer to import than all the rest of this command.
    from kubeberth.cli.scheduler_config import read_configuration

    return read_configuration(path)[1]


async def _run_until_told(cluster: LocalCluster, ready: Callable[[], None]) -> None:
    running = asyncio.create_task(cluster.run(ready))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running


def _in_background(datadir: DataDir, run: Callable[[Callable[[str], None]], None]) -> None:
    """Run in a child process; return when it is ready, exit when it cannot be."""
    receiver, sender = os.pipe()
    if os.fork():
        os.close(sender)
        with open(receiver) as pipe:
            summary = pipe.read()
        if not summary:  # the child has said why
            sys.exit(1)
        click.echo(f"{summary}\n\n`berth down` stops it.")
        return
    os.close(receiver)
    os.setsid()

    def leave_terminal(summary: str) -> None:
        log = os.open(datadir.log_file("supervisor"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nowhere = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nowhere, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        with open(sender, "w") as pipe:
            pipe.write(summary)

    run(leave_terminal)


def _wished_nodes(
    nodes: int | None, zones: int | None, filename: Path | None
) -> list[dict[str, Any]] | None:
    if filename is None:
        if nodes is None and zones is None:
            return None
        return _manifests(NODES if nodes is None else nodes, ZONES if zones is None else zones)
    if nodes is not None or zones is not None:
        raise UsageError("--filename already says which nodes: leave out --nodes and --zones")
    return [spec.manifest() for spec in read_node_specs(filename)]


def _manifests(nodes: int, zones: int) -> list[dict[str, Any]]:
    return [spec.manifest() for spec in node_specs(nodes, zones)]


def _summary(cluster: LocalCluster, datadir: DataDir, took_s: float) -> str:
    nodes = cluster.nodes
    zones = Counter(node["metadata"].get("labels", {}).get(ZONE, "") for node in nodes)
    where = f" in zones {', '.join(sorted(filter(None, zones)))}" if any(zones) else ""
    dismissed = f"\n  removed     {', '.join(cluster.dismissed)}" if cluster.dismissed else ""
    return f"""\
kubeberth is up after {took_s:.1f} s: a Kubernetes 1.36 API on {cluster.server}

  nodes       {len(nodes)}{where}{dismissed}
  data        {datadir.path}
  kubeconfig  {datadir.kubeconfig}

Try:
  export KUBECONFIG={shlex.quote(str(datadir.kubeconfig))}
  kubectl create deployment web --image=nginx --replicas=3
  kubectl get pods -o wide"""
