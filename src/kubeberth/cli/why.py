"""`berth why`: why a pod is where it is, or why it is nowhere, and what would help.

Of a live cluster, the scheduler is asked, which knows what it decided and when. Without one, and of
a cluster in a file, the objects are read and the same rules are applied to them here.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click
import msgspec

from kubeberth.cli.bad_input import bad_input_told
from kubeberth.cli.cluster_source import LIVE, credentials_of
from kubeberth.cli.options import (
    clusters_option,
    context_option,
    data_dir_option,
    is_kubeconfig_told,
    kubeconfig_option,
)
from kubeberth.errors import UsageError


@click.command("why")
@click.argument("target", metavar="POD|KIND/NAME")
@click.option("-n", "--namespace", help="Of the pod.  [default: that of the kubeconfig]")
@clusters_option
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    metavar="FILE",
    help="Ask of the cluster as it would be with these manifests. May be repeated.",
)
@kubeconfig_option
@context_option
@data_dir_option
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
@click.pass_context
def command(
    click_context: click.Context,
    target: str,
    namespace: str | None,
    clusters: tuple[str, ...],
    files: tuple[str, ...],
    kubeconfig: Path,
    context: str | None,
    data_dir: Path,
    scheduler: str | None,
    insecure_skip_tls_verify: bool,
    config_file: Path | None,
    output: str,
) -> None:
    """Show why a pod is on its node, or what keeps it off every node and what would help.

    Of a workload, such as deployment/web, one pod is asked about for each reason to be pending.
    Each suggestion has been tried on a copy of the cluster: with it, the pod has a node.

    Exit code 0: answered. 1: there is no such pod. 2: what was given in files cannot be understood.

    \b
    berth why web-0
    berth why -n team deployment/web -o json
    berth why web-0 --kubeconfig ~/.kube/config
    berth why deployment/web -f deploy/ --cluster snapshot.json
    """
    is_told = is_kubeconfig_told(click_context)
    reach = partial(credentials_of, data_dir, kubeconfig, context, is_told=is_told)
    is_live = not files and set(clusters) <= {LIVE}
    if is_live:
        # Each of the two takes a while to import, and needs nothing of the other.
        from kubeberth.cli.why_live import ask, find

        where = find(data_dir, reach())
        where = where.told(scheduler, namespace, config_file, is_insecure=insecure_skip_tls_verify)
        answer = ask(where, target)
    else:
        if scheduler is not None:
            raise UsageError("--scheduler is asked about a live cluster, not about files")
        from kubeberth.cli.plan_source import Asked, planned_world, read_manifests_of
        from kubeberth.planner.why import why_in_plan

        where_from = Asked(clusters, config_file, reach)
        with bad_input_told():
            wanted = read_manifests_of(files, namespace or "default")
            world = planned_world(where_from, wanted)
        answer = why_in_plan(world, namespace or "default", target)
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2))
    else:
        click.echo(str(answer))
