"""`berth nodes`: simulated nodes for any cluster."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from cryptography import x509

from kubeberth.cli.component import Ready, run_component
from kubeberth.cli.options import read_file, read_node_specs
from kubeberth.client.client import Client
from kubeberth.client.credentials import Credentials
from kubeberth.client.kubeconfig import default_kubeconfig, load_kubeconfig
from kubeberth.clock import SystemClock
from kubeberth.cluster.pki import write_private
from kubeberth.errors import UsageError
from kubeberth.kubelet.checkpoints import Checkpoints
from kubeberth.kubelet.joining import join
from kubeberth.kubelet.nodes import NodesSettings, run

# A certificate that ends sooner is asked for anew.
RENEW_BEFORE = timedelta(days=1)
JOINING_AT_ONCE = 32


@click.command("nodes")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path),
    envvar="KUBECONFIG",
    show_default="$KUBECONFIG or ~/.kube/config",
    help="Which API server to work on, and as whom.",
)
@click.option(
    "-f",
    "--filename",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    required=True,
    help="Node and Machine manifests, or what `kubectl get nodes -o yaml` printed; - reads "
    "standard input.",
)
@click.option(
    "--identities",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with NODE.pem, certificate and key, for each node.  "
    "[default: the kubeconfig's user for all]",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder in which nodes with a described machine keep who has which CPUs, memory and "
    "devices.  [default: a restart forgets it]",
)
@click.option(
    "--join", "server", metavar="URL", help="Join the cluster of this API server, with a token."
)
@click.option(
    "--token",
    envvar="BERTH_TOKEN",
    help="Bootstrap token, as `berth token create` makes them.  [default: $BERTH_TOKEN]",
)
@click.option(
    "--certificate-authority",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Whom to trust to be the API server, PEM.",
)
def command(
    kubeconfig: Path | None,
    filename: Path,
    identities: Path | None,
    state: Path | None,
    server: str | None,
    token: str | None,
    certificate_authority: Path | None,
) -> None:
    """Run simulated nodes: kubelets that register, heartbeat and run pods.

    With --join, each node that has no certificate in --identities asks for one and keeps it there.
    """
    specs = read_node_specs(filename)
    if server is None:
        credentials = load_kubeconfig(kubeconfig or default_kubeconfig())
    else:
        if identities is None or certificate_authority is None:
            raise UsageError("--join needs --certificate-authority and --identities: name both")
        credentials = Credentials(server, ca=read_file(certificate_authority), token=token)

    def client_of(node: str) -> Client:
        if identities is None:
            return Client(credentials, user_agent="kubelet")
        try:
            pem = (identities / f"{node}.pem").read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read node {node}'s identity: {error}") from None
        own = dataclasses.replace(credentials, cert=pem, key=pem, token=None, source=None)
        return Client(own, user_agent="kubelet")

    async def main(ready: Ready) -> None:
        if server is not None and identities is not None:
            await join_all(credentials, [spec.name for spec in specs], identities)
        settings = NodesSettings(checkpoints=Checkpoints(state) if state is not None else None)
        await run(specs, client_of, settings, ready=ready)

    run_component(main)


async def join_all(credentials: Credentials, nodes: list[str], identities: Path) -> None:
    """Lay a certificate and its key into a folder for every node that has none there.

    Raises
    ------
    UsageError
        There is no token, or some node is not given a certificate.
    """
    missing = [node for node in nodes if not _is_good(identities / f"{node}.pem")]
    if not missing:
        return
    if not credentials.token:
        raise UsageError(f"node {missing[0]} has no certificate in {identities}: name a --token")
    identities.mkdir(mode=0o700, parents=True, exist_ok=True)
    places = asyncio.Semaphore(JOINING_AT_ONCE)
    async with Client(credentials, user_agent="kubelet") as client:

        async def one(node: str) -> None:
            async with places:
                write_private(identities / f"{node}.pem", await join(client, node))

        async with asyncio.TaskGroup() as tasks:
            for node in missing:
                tasks.create_task(one(node))


def _is_good(path: Path) -> bool:
    """Return whether a file holds a certificate that does not end soon."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    now = datetime.fromtimestamp(SystemClock().now(), UTC)
    return certificate.not_valid_after_utc - RENEW_BEFORE > now
