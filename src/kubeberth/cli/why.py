"""`berth why`: why a pod is where it is, or why it is nowhere.

Asked is the scheduler, which knows what it decided and when. Without one, the objects are read over
the API and the same rules are applied to them here.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import click
import msgspec

from kubeberth.cli.cluster_source import credentials_of
from kubeberth.cli.live import read_cluster
from kubeberth.cli.options import (
    context_option,
    data_dir_option,
    is_kubeconfig_told,
    kubeconfig_option,
)
from kubeberth.client.calls import Call
from kubeberth.client.client import Client
from kubeberth.client.credentials import Credentials
from kubeberth.cluster.datadir import DataDir
from kubeberth.errors import NoSuchObjectError, UsageError
from kubeberth.placement.why import Why


@click.command("why")
@data_dir_option
@kubeconfig_option
@context_option
@click.option("-n", "--namespace", help="Of the pod.  [default: that of the kubeconfig]")
@click.option("--scheduler", metavar="URL", help="Ask this scheduler.  [default: berth up's]")
@click.option(
    "--insecure-skip-tls-verify", is_flag=True, help="Take any certificate of the scheduler."
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Ask no scheduler, but the rules of this KubeSchedulerConfiguration.",
)
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.argument("pod")
@click.pass_context
def command(
    click_context: click.Context,
    data_dir: Path,
    kubeconfig: Path,
    context: str | None,
    namespace: str | None,
    scheduler: str | None,
    insecure_skip_tls_verify: bool,
    config_file: Path | None,
    output: str,
    pod: str,
) -> None:
    """Show why a pod is on its node, or what keeps it off every node.

    \b
    berth why web-0
    berth why -n team web-0 -o json
    berth why web-0 --kubeconfig ~/.kube/config
    """
    is_told = is_kubeconfig_told(click_context)
    credentials, found = _find(data_dir, kubeconfig, context, is_told=is_told)
    scheduler = scheduler or (found if config_file is None else None)
    namespace = namespace or credentials.namespace
    if scheduler is not None:
        asked = replace(credentials, server=scheduler.rstrip("/"))
        if insecure_skip_tls_verify:
            asked = replace(asked, insecure=True)
        why = asyncio.run(_ask(asked, namespace, pod))
    else:
        why = asyncio.run(_work_out(credentials, namespace, pod, config_file))
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(why), indent=2))
    else:
        click.echo(str(why))


def _find(
    data_dir: Path, kubeconfig: Path, context: str | None, *, is_told: bool
) -> tuple[Credentials, str | None]:
    """Return how to reach the cluster that is meant, and its scheduler's URL if it is known."""
    credentials = credentials_of(data_dir, kubeconfig, context, is_told=is_told)
    datadir = DataDir(data_dir)
    running = datadir.running() if datadir.exists() else None
    is_ours = running is not None and credentials.server == running.server
    return credentials, running.scheduler or None if running is not None and is_ours else None


async def _ask(credentials: Credentials, namespace: str, pod: str) -> Why:
    async with Client(credentials) as client:
        body = await client.send(Call("GET", f"/why/{namespace}/{pod}"))
    try:
        return msgspec.json.decode(body, type=Why)
    except msgspec.DecodeError as error:
        raise UsageError(f"{credentials.server} is no scheduler of kubeberth: {error}") from None


async def _work_out(
    credentials: Credentials, namespace: str, pod: str, config_file: Path | None
) -> Why:
    async with Client(credentials) as client:
        cluster, passed_over = await read_cluster(client, config_file)
    for line in passed_over:
        click.echo(f"warning: {line}", err=True)
    try:
        return cluster.why(f"{namespace}/{pod}")
    except NoSuchObjectError:
        raise UsageError(f'pods "{pod}" not found in namespace {namespace}') from None
