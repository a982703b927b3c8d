"""`berth nodes`: simulated nodes for any cluster."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from kubeberth.cli.component import Ready, run_component
from kubeberth.cli.options import kubeconfig_option, read_node_specs
from kubeberth.client.client import Client
from kubeberth.client.kubeconfig import load_kubeconfig
from kubeberth.errors import UsageError
from kubeberth.kubelet.nodes import run


@click.command("nodes")
@kubeconfig_option
@click.option(
    "-f",
    "--filename",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    required=True,
    help="Node manifests, or what `kubectl get nodes -o yaml` printed; - reads standard input.",
)
@click.option(
    "--identities",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with NODE.pem, certificate and key, for each node.  "
    "[default: the kubeconfig's user for all]",
)
def command(kubeconfig: Path, filename: Path, identities: Path | None) -> None:
    """Run simulated nodes: kubelets that register, heartbeat and run pods."""
    specs = read_node_specs(filename)
    credentials = load_kubeconfig(kubeconfig)

    def client_of(node: str) -> Client:
        if identities is None:
            return Client(credentials, user_agent="kubelet")
        try:
            pem = (identities / f"{node}.pem").read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read node {node}'s identity: {error}") from None
        own = dataclasses.replace(credentials, cert=pem, key=pem)
        return Client(own, user_agent="kubelet")

    async def main(ready: Ready) -> None:
        await run(specs, client_of, ready=ready)

    run_component(main)
