"""`berth nodes`: simulated nodes for any cluster."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import click
import msgspec
from click.core import ParameterSource

from kubeberth.api.core import Node, Pod
from kubeberth.api.scheme import NODES, PODS
from kubeberth.cli import nodes_commands
from kubeberth.cli.component import Ready, run_component
from kubeberth.cli.node_options import lives_option, read_lives, read_node_specs
from kubeberth.cli.numa_map import draw
from kubeberth.cli.options import data_dir_option, kubeconfig_option, read_file
from kubeberth.client.client import Client
from kubeberth.client.credentials import Credentials, FileIdentity, Proof
from kubeberth.client.default_kubeconfig import default_kubeconfig
from kubeberth.client.kubeconfig import load_kubeconfig
from kubeberth.cluster.datadir import DataDir
from kubeberth.errors import NotFoundError, UsageError
from kubeberth.kubelet.checkpoints import Checkpoints
from kubeberth.kubelet.control import listening
from kubeberth.kubelet.lives import Lives
from kubeberth.kubelet.nodes import Fleet, NodesSettings
from kubeberth.topology.checkpoint import CheckpointError
from kubeberth.topology.description import DescriptionError
from kubeberth.topology.layout import Layout, parse_layout
from kubeberth.topology.managers import Allocations
from kubeberth.topology.names import ALLOCATIONS_ANNOTATION, LAYOUT_ANNOTATION
from kubeberth.topology.pod_resources import pod_resources
from kubeberth.topology.publication import from_text

# Of one node, besides its watch: thousands of nodes each keep their connections, at 24 KiB each.
REQUESTS_AT_ONCE = 1


@click.group("nodes", invoke_without_command=True)
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
@lives_option
@click.option(
    "--control",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Socket to make, at which `berth nodes add`, remove, fail and heal reach these nodes.",
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
@click.pass_context
def command(
    context: click.Context,
    kubeconfig: Path | None,
    filename: Path | None,
    identities: Path | None,
    state: Path | None,
    lives: Path | None,
    control: Path | None,
    server: str | None,
    token: str | None,
    certificate_authority: Path | None,
) -> None:
    """Run simulated nodes: kubelets that register, heartbeat and run pods.

    With --join, each node that has no certificate in --identities asks for one and keeps it there.
    """
    if context.invoked_subcommand is not None:
        return
    if filename is None:
        raise click.UsageError("Missing option '-f' / '--filename'.", context)
    told = read_lives(lives)[1] if lives is not None else Lives()
    # All of those that are commanded may have gone.
    specs = read_node_specs(filename, may_be_none=control is not None)
    if server is None:
        credentials = load_kubeconfig(kubeconfig or default_kubeconfig())
    else:
        if identities is None or certificate_authority is None:
            raise UsageError("--join needs --certificate-authority and --identities: name both")
        credentials = Credentials(server, ca=read_file(certificate_authority), token=token)

    as_kubelet = partial(
        Client, user_agent="kubelet", max_requests=REQUESTS_AT_ONCE, answers=Counter()
    )

    def client_of(node: str) -> Client:
        if identities is None:
            return as_kubelet(credentials)
        file = identities / f"{node}.pem"
        try:
            pem = file.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read node {node}'s identity: {error}") from None
        source = FileIdentity(file, file, Proof(cert=pem, key=pem))
        own = dataclasses.replace(credentials, cert=pem, key=pem, token=None, source=source)
        return as_kubelet(own)

    async def main(ready: Ready) -> None:
        if server is not None and identities is not None:
            from kubeberth.cli.nodes_joining import join_all

            await join_all(credentials, [spec.name for spec in specs], identities)
        settings = NodesSettings(
            stages=told.stages,
            scripts=told.scripts,
            checkpoints=Checkpoints(state) if state is not None else None,
        )
        fleet = Fleet(client_of, settings)
        async with AsyncExitStack() as stack:
            if control is not None:
                await stack.enter_async_context(listening(control, fleet))
            await fleet.run(specs, ready)

    run_component(main)


for subcommand in nodes_commands.COMMANDS:
    command.add_command(subcommand)


@command.command("describe")
@data_dir_option
@kubeconfig_option
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.argument("node")
@click.pass_context
def describe(
    context: click.Context, data_dir: Path, kubeconfig: Path, output: str, node: str
) -> None:
    """Draw a node's machine: which CPUs, memory and devices belong to which pod.

    With -o json, what the kubelet's pod-resources API says.
    """
    is_told = context.get_parameter_source("kubeconfig") in (
        ParameterSource.COMMANDLINE,
        ParameterSource.ENVIRONMENT,
    )
    datadir = DataDir(data_dir)
    is_ours = not is_told and datadir.exists() and datadir.running() is not None
    credentials = load_kubeconfig(datadir.kubeconfig if is_ours else kubeconfig)
    layout, allocations, pods = asyncio.run(_read(credentials, node))
    if output == "json":
        document = pod_resources(layout, allocations, pods)
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
    else:
        by_uid = {pod.metadata.uid: pod for pod in pods}
        click.echo(draw(node, layout, allocations, by_uid))


async def _read(credentials: Credentials, name: str) -> tuple[Layout, Allocations, list[Pod]]:
    """Return a node's layout, what is given away of it, and its pods that have not ended."""
    async with Client(credentials) as client:
        try:
            node = msgspec.convert(await client.get(NODES, name), Node)
        except NotFoundError:
            raise UsageError(f'nodes "{name}" not found') from None
        listed = await client.list(PODS, field_selector=f"spec.nodeName={name}")
    pods = [msgspec.convert(item, Pod) for item in listed["items"]]
    described = node.metadata.annotations.get(LAYOUT_ANNOTATION)
    if described is None:
        raise UsageError(
            f"node {name} says nothing of its machine: describe it with a Machine manifest"
        )
    try:
        layout = parse_layout(described)
        given = node.metadata.annotations.get(ALLOCATIONS_ANNOTATION)
        allocations = layout.start()[1] if given is None else from_text(given).allocations
    except (DescriptionError, CheckpointError) as error:
        raise UsageError(f"node {name}: what it says of its machine is damaged: {error}") from None
    return layout, allocations, [pod for pod in pods if not pod.is_terminal]
