"""`berth controllers`: Deployments, ReplicaSets, garbage collection and the like."""

from __future__ import annotations

from pathlib import Path

import click

from kubeberth.api.scheduler_config import LeaderElection
from kubeberth.cli.component import Ready, on_signal, run_component
from kubeberth.cli.leader_election import ElectionFlags, election_options, mandate_by
from kubeberth.cli.options import kubeconfig_option, read_file
from kubeberth.client.account_token import AccountToken
from kubeberth.client.client import Client
from kubeberth.clock import SystemClock
from kubeberth.controllers.supervisor import ControllerSettings, run
from kubeberth.controllers.trust.signing_authority import Authority
from kubeberth.errors import UsageError

AGENT = "kube-controller-manager"
SYSTEM = "kube-system"


@click.command("controllers")
@kubeconfig_option
@click.option(
    "--root-ca-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Certificate that every namespace's config map kube-root-ca.crt holds, PEM.",
)
@click.option(
    "--cluster-signing-cert-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Who signs approved requests for certificates, PEM.  [default: nobody]",
)
@click.option(
    "--cluster-signing-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The key that goes with it.",
)
@click.option(
    "--use-service-account-credentials",
    is_flag=True,
    help="Let each controller act as its own service account in kube-system.  [default: all act "
    "as the kubeconfig's user]",
)
@click.option(
    "--default-storage-class",
    metavar="NAME",
    default="",
    help="A class of simulated volumes, made at the start in a cluster that has no class.",
)
@election_options(AGENT, "controllers")
def command(
    kubeconfig: Path,
    root_ca_file: Path | None,
    cluster_signing_cert_file: Path | None,
    cluster_signing_key_file: Path | None,
    use_service_account_credentials: bool,
    default_storage_class: str,
    election: ElectionFlags,
) -> None:
    """Run the controllers.

    Of several processes that run them, one works; the others wait for its lease to run out.
    """
    if (cluster_signing_cert_file is None) != (cluster_signing_key_file is None):
        raise UsageError(
            "--cluster-signing-cert-file and --cluster-signing-key-file go together: name both"
        )
    elected = election.over(LeaderElection(resource_name=AGENT))
    client = Client.from_kubeconfig(kubeconfig, user_agent=AGENT)
    nobody = Client(client.credentials.without_proof(), user_agent=AGENT)
    clock = SystemClock()
    root_ca = read_file(root_ca_file).decode() if root_ca_file else ""
    authority = None
    if cluster_signing_cert_file is not None and cluster_signing_key_file is not None:
        authority = Authority(cluster_signing_cert_file, cluster_signing_key_file)
    settings = ControllerSettings(
        root_ca=root_ca, authority=authority, default_storage_class=default_storage_class
    )

    def client_of(account: str) -> Client:
        if not use_service_account_credentials:
            return client
        return nobody.showing(AccountToken(client, SYSTEM, account, clock))

    async def main(ready: Ready) -> None:
        async with client, nobody, mandate_by(elected, client, AGENT) as mandate:
            await run(
                client,
                settings,
                client_of=client_of,
                clock=clock,
                ready=ready,
                mandate=mandate,
                dump_on=on_signal,
            )

    run_component(main)
