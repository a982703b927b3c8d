"""`berth capacity`: how many more copies of a pod fit, and what stops the next one."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import msgspec

from kubeberth.cli.bad_input import bad_input_told
from kubeberth.cli.cluster_source import credentials_of
from kubeberth.cli.options import (
    clusters_option,
    context_option,
    data_dir_option,
    is_kubeconfig_told,
    kubeconfig_option,
    planned_namespace_option,
    rules_option,
)
from kubeberth.cli.plan_source import Asked, planned_world, read_manifests_of
from kubeberth.cli.progress import Progress
from kubeberth.errors import UsageError
from kubeberth.planner.capacity import MAX_COPIES, Capacity, is_counted, measure, to_shapes
from kubeberth.planner.reports.capacity import capacity_text

TOO_FEW = 1


@click.command("capacity")
@click.argument("files", nargs=-1, metavar="[FILES]...")
@click.option(
    "-f",
    "--filename",
    "more_files",
    multiple=True,
    metavar="FILE",
    help="Pods, or what makes pods: a file, a folder, a pattern, or - for standard input. May be "
    "repeated.",
)
@clusters_option
@kubeconfig_option
@context_option
@data_dir_option
@planned_namespace_option
@rules_option
@click.option("--mix", metavar="NAME=N,...", help="Count sets as well: web=2,cache=1.")
@click.option(
    "--at-least",
    type=click.IntRange(min=0),
    metavar="N",
    help="Exit with 1 when fewer copies fit; of a mix, fewer whole sets.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=MAX_COPIES,
    show_default=True,
    help="Stop counting there.",
)
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.pass_context
def command(
    click_context: click.Context,
    files: tuple[str, ...],
    more_files: tuple[str, ...],
    clusters: tuple[str, ...],
    kubeconfig: Path,
    context: str | None,
    data_dir: Path,
    namespace: str,
    config: Path | None,
    mix: str | None,
    at_least: int | None,
    limit: int,
    output: str,
) -> None:
    """Count how many more copies of a pod fit, and show what stops the next one.

    Deployments, StatefulSets, Jobs and the like count as the pod that they make. Of several pods,
    each has the cluster to itself. Pods that wait are placed first; nobody is preempted.

    Exit code 0: counted. 1: fewer than --at-least. 2: what was given cannot be understood.

    \b
    berth capacity -f web.yaml
    berth capacity -f web.yaml --cluster snapshot.json --at-least 20
    berth capacity -f web.yaml -f cache.yaml --mix web=2,cache=1
    """
    is_told = is_kubeconfig_told(click_context)
    reach = partial(credentials_of, data_dir, kubeconfig, context, is_told=is_told)
    with bad_input_told():
        if not (files or more_files):
            raise UsageError("name manifests of pods, with -f or without; - is standard input")
        wanted = read_manifests_of((*files, *more_files), namespace)
        parts = None if mix is None else _parts(mix)
        asked = Asked(clusters, config, reach)
        around = tuple(item for item in wanted.wanted if not is_counted(item))
        world = planned_world(asked, replace(wanted, wanted=around))
        shapes = to_shapes(world, wanted.wanted)
        with Progress("copies") as progress:
            found = measure(world.placing.state, shapes, parts, limit, progress.tell)
    _tell(found, output)
    sys.exit(TOO_FEW if at_least is not None and found.least < at_least else 0)


def _tell(found: Capacity, output: str) -> None:
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        click.echo(capacity_text(found))


def _parts(text: str) -> dict[str, int]:
    parts: dict[str, int] = {}
    for entry in text.split(","):
        name, _, number = entry.strip().partition("=")
        if not name or not number.isdecimal() or not int(number) or name in parts:
            raise UsageError(f"--mix {text}: must be NAME=N,..., such as web=2,cache=1")
        parts[name] = int(number)
    return parts
