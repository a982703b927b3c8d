"""`berth plan`: where the pods of manifests would land, before they do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

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
from kubeberth.cli.plan_source import read_asked, read_manifests_of, rules_of
from kubeberth.cli.progress import Progress
from kubeberth.errors import UsageError
from kubeberth.placement.ties import FirstAdded, Shuffled
from kubeberth.planner.assertions import Checked, parse_assertion
from kubeberth.planner.plan import Plan
from kubeberth.planner.planning import RefusedError, Task, make_plan
from kubeberth.planner.questions import NewNodes, Questions
from kubeberth.planner.reports import COMPARED_FORMS, FORMS, render, render_comparison
from kubeberth.planner.words import warnings

NOT_GOOD = 1


@click.command("plan")
@click.argument("files", nargs=-1, metavar="[FILES]...")
@click.option(
    "-f",
    "--filename",
    "more_files",
    multiple=True,
    metavar="FILE",
    help="Manifests: a file, a folder, a pattern, or - for standard input. May be repeated.",
)
@clusters_option
@kubeconfig_option
@context_option
@data_dir_option
@planned_namespace_option
@click.option("--scale", multiple=True, metavar="NAME=N", help="Give a workload another size.")
@click.option("--drain", multiple=True, metavar="NODE", help="Empty a node, as kubectl drain does.")
@click.option("--without", multiple=True, metavar="ZONE", help="Lose a zone.")
@click.option(
    "--add-nodes",
    multiple=True,
    metavar="N[:NODE]",
    help="Have N more nodes, of the same make as NODE, or as the first one.",
)
@rules_option
@click.option(
    "--compare-config",
    type=click.Path(path_type=Path),
    help="Plan a second time, by the rules of this one, and show the differences.",
)
@click.option(
    "--assert",
    "assertions",
    multiple=True,
    metavar="CONDITION",
    help='Fail unless it holds: "no pod pending", "no preemption", "web spread over >= 3 zones", '
    '"node utilisation cpu < 80%". May be repeated; docs/plan.md has them all.',
)
@click.option("--seed", type=int, help="Of equally good nodes take a random one, not the first.")
@click.option("-o", "--output", type=click.Choice(FORMS), default="text", show_default=True)
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
    scale: tuple[str, ...],
    drain: tuple[str, ...],
    without: tuple[str, ...],
    add_nodes: tuple[str, ...],
    config: Path | None,
    compare_config: Path | None,
    assertions: tuple[str, ...],
    seed: int | None,
    output: str,
) -> None:
    """Show where the pods of manifests would land, and what would keep them from it.

    Nothing is changed anywhere. Manifests are taken as kubectl apply would: checked as an API
    server does, made into pods as the controllers do, and placed as the scheduler does, with
    preemption. A CronJob counts as if one of its times had come.

    Exit code 0: everything has its place, and all assertions hold. 1: pods are pending, something
    is stuck, or an assertion fails. 2: what was given cannot be understood.

    \b
    berth plan -f deploy/
    helm template shop | berth plan -f - --cluster snapshot.json
    berth plan -f web.yaml --without zone-a --assert "no pod pending"
    berth plan --drain kube-02
    """
    is_told = is_kubeconfig_told(click_context)
    reach = partial(credentials_of, data_dir, kubeconfig, context, is_told=is_told)
    ties = FirstAdded() if seed is None else Shuffled(seed)
    with bad_input_told():
        conditions = [parse_assertion(text) for text in assertions]
        questions = _questions(scale, drain, without, add_nodes)
        wanted = read_manifests_of((*files, *more_files), namespace)
        if not (wanted.wanted or wanted.passed_over or wanted.left_out or questions != Questions()):
            raise UsageError("nothing to plan: give manifests with -f, or a question as --drain")
        if compare_config is not None and output not in COMPARED_FORMS:
            forms = ", ".join(COMPARED_FORMS)
            raise UsageError(f"--compare-config: can be shown as {forms}, not as {output}")
        unread: list[str] = []
        cluster = read_asked(clusters, reach, unread.append)
        configs = (config,) if compare_config is None else (config, compare_config)
        with Progress("decisions") as progress, _warnings_told():
            plan, *others = (
                make_plan(
                    Task(cluster, wanted, questions, rules_of(each, ties), progress.tell, unread)
                )
                for each in configs
            )
        checked = [condition.check(plan) for condition in conditions]
    if others:
        click.echo(render_comparison(output, plan, others[0]))
    else:
        click.echo(render(output, plan, checked))
    sys.exit(0 if _is_fine(plan, checked) else NOT_GOOD)


@contextmanager
def _warnings_told() -> Iterator[None]:
    """Tell what manifests are warned of also when others are refused."""
    try:
        yield
    except RefusedError as error:
        for line in warnings(dict.fromkeys(error.warnings)):
            click.echo(line, err=True)
        raise


def _is_fine(plan: Plan, checked: Sequence[Checked]) -> bool:
    return plan.is_good and all(entry.holds for entry in checked)


def _questions(
    scale: Sequence[str], drain: Sequence[str], without: Sequence[str], add_nodes: Sequence[str]
) -> Questions:
    sizes = []
    for text in scale:
        name, _, number = text.rpartition("=")
        if not name or not number.isdecimal():
            raise UsageError(f"--scale {text}: must be NAME=N, such as web=6")
        sizes.append((name, int(number)))
    nodes = []
    for text in add_nodes:
        count, _, like = text.partition(":")
        if not count.isdecimal():
            raise UsageError(f"--add-nodes {text}: must be N or N:NODE, such as 3:kube-01")
        nodes.append(NewNodes(int(count), like))
    return Questions(tuple(sizes), tuple(nodes), tuple(drain), tuple(without))
