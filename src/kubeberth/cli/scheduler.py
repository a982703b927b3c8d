"""`berth scheduler`: a scheduler for any cluster."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from kubeberth.api.scheduler_config import KubeSchedulerConfiguration, ProfileConfig
from kubeberth.cli.component import Ready, run_component
from kubeberth.cli.options import kubeconfig_option
from kubeberth.cli.scheduler_config import read_configuration
from kubeberth.client.client import Client
from kubeberth.errors import UsageError
from kubeberth.extensions import own_plugins
from kubeberth.scheduler.config import to_settings
from kubeberth.scheduler.scheduler import run


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
@click.pass_context
def command(
    context: click.Context,
    kubeconfig: Path,
    config_file: Path | None,
    scheduler_name: str | None,
    seed: int,
) -> None:
    """Run a scheduler: watch, decide, bind."""
    if config_file is None:
        configuration = KubeSchedulerConfiguration()
        if scheduler_name is not None:
            profile = ProfileConfig(scheduler_name=scheduler_name)
            configuration = KubeSchedulerConfiguration(profiles=(profile,))
    elif scheduler_name is not None:
        raise UsageError("--scheduler-name goes without --config: name the profiles in the file")
    else:
        configuration, _ = read_configuration(config_file)
    settings = to_settings(configuration, own_plugins(), seed)
    configured = configuration.client_connection.kubeconfig
    if configured and context.get_parameter_source("kubeconfig") != ParameterSource.COMMANDLINE:
        kubeconfig = Path(configured)
    client = Client.from_kubeconfig(kubeconfig, user_agent="kube-scheduler")

    async def main(ready: Ready) -> None:
        async with client:
            await run(client, settings, ready=ready)

    run_component(main)
