"""`berth controllers`: Deployments, ReplicaSets, garbage collection and the like."""

from __future__ import annotations

from pathlib import Path

import click

from kubeberth.cli.component import Ready, run_component
from kubeberth.cli.options import kubeconfig_option, read_file
from kubeberth.client.client import Client
from kubeberth.controllers.supervisor import ControllerSettings, run


@click.command("controllers")
@kubeconfig_option
@click.option(
    "--root-ca-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Certificate that every namespace's config map kube-root-ca.crt holds, PEM.",
)
def command(kubeconfig: Path, root_ca_file: Path | None) -> None:
    """Run the controllers."""
    client = Client.from_kubeconfig(kubeconfig, user_agent="kube-controller-manager")
    root_ca = read_file(root_ca_file).decode() if root_ca_file else ""
    settings = ControllerSettings(root_ca=root_ca)

    async def main(ready: Ready) -> None:
        async with client:
            await run(client, settings, ready=ready)

    run_component(main)
