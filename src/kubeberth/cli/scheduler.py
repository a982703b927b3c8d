"""`berth scheduler`: a scheduler for any cluster."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from kubeberth.api.scheduler_config import (
    DEFAULT_SCHEDULER_NAME,
    KubeSchedulerConfiguration,
    LeaderElection,
    ProfileConfig,
)
from kubeberth.cli.component import Ready, on_signal, run_component
from kubeberth.cli.doors import DoorFlags, door_options
from kubeberth.cli.leader_election import ElectionFlags, election_options, mandate_by
from kubeberth.cli.logs import log_options
from kubeberth.cli.options import kubeconfig_option
from kubeberth.cli.scheduler_config import read_configuration
from kubeberth.client.client import Client
from kubeberth.errors import UsageError
from kubeberth.extensions import own_plugins
from kubeberth.scheduler.config import to_settings
from kubeberth.scheduler.scheduler import run

AGENT = "kube-scheduler"


@click.command("scheduler")
@kubeconfig_option
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="A KubeSchedulerConfiguration: profiles, plugins, weights, arguments.",
)
@click.option(
    "--scheduler-name",
    help="Place the pods whose spec.schedulerName is this, by the default profile.  "
    "[default: default-scheduler]",
)
@click.option("--seed", default=0, show_default=True, help="Decides among equally good nodes.")
@log_options
@door_options
@election_options(LeaderElection().resource_name, "schedulers")
@click.pass_context
def command(
    context: click.Context,
    kubeconfig: Path,
    config_file: Path | None,
    scheduler_name: str | None,
    seed: int,
    election: ElectionFlags,
    doors: DoorFlags,
    log_format: str,
    verbosity: int,
) -> None:
    """Run a scheduler: watch, decide, bind."""
    if config_file is None:
        configuration = KubeSchedulerConfiguration()
        if scheduler_name is not None:
            configuration = KubeSchedulerConfiguration(
                profiles=(ProfileConfig(scheduler_name=scheduler_name),),
                # Schedulers of different names work at the same time: each has its own lease.
                leader_election=LeaderElection(resource_name=_lease_name(scheduler_name)),
            )
    elif scheduler_name is not None:
        raise UsageError("--scheduler-name goes without --config: name the profiles in the file")
    else:
        configuration, _ = read_configuration(config_file)
    settings = to_settings(configuration, own_plugins(), seed)
    configured = configuration.client_connection.kubeconfig
    if configured and context.get_parameter_source("kubeconfig") != ParameterSource.COMMANDLINE:
        kubeconfig = Path(configured)
    elected = election.over(configuration.leader_election)
    client = Client.from_kubeconfig(kubeconfig, user_agent=AGENT)

    opened = doors.open(client)

    async def main(ready: Ready) -> None:
        async with client, mandate_by(elected, client, AGENT) as mandate:
            await run(
                client, settings, ready=ready, mandate=mandate, doors=opened, dump_on=on_signal
            )

    run_component(main, log_format, verbosity)


def _lease_name(scheduler_name: str) -> str:
    standard = LeaderElection().resource_name
    return standard if scheduler_name == DEFAULT_SCHEDULER_NAME else scheduler_name
