"""`berth scheduler`: a scheduler for any cluster."""

from __future__ import annotations

from pathlib import Path

import click

from kubeberth.cli.component import Ready, run_component
from kubeberth.cli.options import kubeconfig_option
from kubeberth.client.client import Client
from kubeberth.scheduler.config import Settings
from kubeberth.scheduler.scheduler import run


@click.command("scheduler")
@kubeconfig_option
@click.option(
    "--scheduler-name",
    default="default-scheduler",
    show_default=True,
    help="Place the pods whose spec.schedulerName is this.",
)
@click.option("--seed", default=0, show_default=True, help="Decides among equally good nodes.")
def command(kubeconfig: Path, scheduler_name: str, seed: int) -> None:
    """Run a scheduler: watch, decide, bind."""
    client = Client.from_kubeconfig(kubeconfig, user_agent="kube-scheduler")
    settings = Settings(scheduler_name=scheduler_name, seed=seed)

    async def main(ready: Ready) -> None:
        async with client:
            await run(client, settings, ready=ready)

    run_component(main)
