"""`berth status`: what runs, since when, and what it costs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click

from kubeberth.cli.options import data_dir_option, existing_cluster
from kubeberth.clock import SystemClock
from kubeberth.cluster.datadir import ProcessState


@click.command("status")
@data_dir_option
def command(data_dir: Path) -> None:
    """Show what runs, and what it costs. Exit code 3 when nothing runs."""
    datadir = existing_cluster(data_dir)
    running = datadir.running()
    if running is None:
        click.echo(f"Stopped. `berth up` starts it again with what is in {datadir.path}.")
        raise SystemExit(3)
    age_s = SystemClock().now() - running.started_at
    click.echo(f"Running for {_age(age_s)}: {running.server}, data in {datadir.path}")
    if running.scheduler:
        click.echo(f"Scheduler: {running.scheduler} (/metrics, /debug/queue; `berth why POD`)")
    processes = [ProcessState("supervisor", running.pid), *running.processes]
    costs = _costs([process.pid for process in processes])
    click.echo(f"\n{'PROCESS':<14}{'PID':>8}{'MEMORY':>10}{'CPU TIME':>12}{'RESTARTS':>10}")
    for process in processes:
        memory_kib, cpu = costs.get(process.pid, (0, "-"))
        memory = f"{memory_kib / 1024:.0f} MiB"
        click.echo(f"{process.name:<14}{process.pid:>8}{memory:>10}{cpu:>12}{process.restarts:>10}")
    total = sum(memory for memory, _ in costs.values())
    click.echo(f"{'together':<14}{'':>8}{f'{total / 1024:.0f} MiB':>10}")


def _age(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m" if hours else f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _costs(pids: list[int]) -> dict[int, tuple[int, str]]:
    """Return resident memory (KiB) and CPU time of processes, as `ps` of any Unix tells them."""
    wanted = ",".join(map(str, pids))
    listing = subprocess.run(
        ["ps", "-o", "pid=,rss=,time=", "-p", wanted], capture_output=True, text=True, check=False
    )
    rows = [line.split() for line in listing.stdout.splitlines()]
    return {int(pid): (int(rss), time) for pid, rss, time in rows}
