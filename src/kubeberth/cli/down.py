"""`berth down`: stop a cluster."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import click

from kubeberth.cli.options import data_dir_option, existing_cluster
from kubeberth.cluster.datadir import DataDir


@click.command("down")
@data_dir_option
@click.option("--delete", is_flag=True, help="Delete the data directory too.")
def command(data_dir: Path, delete: bool) -> None:
    """Stop a cluster; what is in it stays, unless --delete."""
    datadir = existing_cluster(data_dir)
    running = datadir.running()
    if running is None:
        click.echo("No cluster was running.")
    else:
        os.kill(running.pid, signal.SIGTERM)
        datadir.wait_until_free()
        click.echo("Stopped the cluster.")
    if delete:
        _delete(datadir)


def _delete(datadir: DataDir) -> None:
    shutil.rmtree(datadir.path)
    click.echo(f"Deleted {datadir.path}.")
