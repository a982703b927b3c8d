"""`berth nodes add`, `remove`, `fail` and `heal`: nodes that run, changed while they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from kubeberth.cli.node_options import read_node_specs
from kubeberth.cli.options import data_dir_option, existing_cluster
from kubeberth.clock import SystemClock
from kubeberth.cluster.datadir import DataDir
from kubeberth.cluster.membership import Membership, closed_labels, tend
from kubeberth.errors import UsageError
from kubeberth.kubelet.control import Command, ask
from kubeberth.kubelet.faults import FLAP_PERIOD_S, How
from kubeberth.kubelet.specs import EFFECTS, next_number, specs_from_manifests

F = TypeVar("F", bound=Callable[..., Any])


def _control_option(function: F) -> F:
    return click.option(
        "--control",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The nodes of `berth nodes --control`, instead of those of a cluster of `berth up`.",
    )(function)


@click.command("add")
@data_dir_option
@_control_option
@click.option("-l", "--label", "labels", multiple=True, metavar="KEY=VALUE", help="Repeatable.")
@click.option(
    "-t", "--taint", "taints", multiple=True, metavar="KEY[=VALUE]:EFFECT", help="Repeatable."
)
@click.option(
    "-c",
    "--capacity",
    multiple=True,
    metavar="RESOURCE=AMOUNT",
    help="Repeatable.  [default: 4 CPUs, 16Gi of memory, 110 pods]",
)
@click.option(
    "-f",
    "--filename",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Node and Machine manifests; - reads standard input.",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
def add(
    data_dir: Path,
    control: Path | None,
    labels: tuple[str, ...],
    taints: tuple[str, ...],
    capacity: tuple[str, ...],
    filename: Path | None,
    names: tuple[str, ...],
) -> None:
    """Add nodes to a cluster that runs; the next `berth up` brings them back.

    \b
    berth nodes add node-4 --label topology.kubernetes.io/zone=zone-a --capacity cpu=16
    berth nodes add -f nodes.yaml
    """
    if bool(names) is (filename is not None):
        raise UsageError("name the nodes to add, or a file of manifests with -f: one of both")
    if filename is not None and (labels or taints or capacity):
        raise UsageError("labels, taints and capacity of nodes of a file are said in the file")
    membership = None if control is not None else _membership(data_dir)
    known = membership.manifests() if membership is not None else []
    first = next_number(node.get("spec", {}).get("podCIDR", "") for node in known)
    if filename is not None:
        specs = read_node_specs(filename, first=first)
    else:
        documents = [_document(name, labels, taints, capacity) for name in names]
        specs = specs_from_manifests(documents, first=first)
    manifests = [spec.manifest() for spec in specs]
    if membership is not None:
        membership.add(manifests)
    ask(control or DataDir(data_dir).nodes_socket, Command("add", manifests=manifests), click.echo)
    if membership is not None and (closed := closed_labels(manifests)):
        asyncio.run(tend(DataDir(data_dir).kubeconfig, closed, ()))


@click.command("remove")
@data_dir_option
@_control_option
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def remove(data_dir: Path, control: Path | None, names: tuple[str, ...]) -> None:
    """Take nodes away for good: kubelet, Node and all.

    Their pods are collected once their nodes have been missed for 40 seconds; drain them first to
    have others in their place without a gap. With --control the Nodes stay: `kubectl delete node`.
    """
    if control is not None:
        ask(control, Command("remove", list(names)), click.echo)
        return
    membership = _membership(data_dir)
    membership.remove(names)
    datadir = DataDir(data_dir)
    ask(datadir.nodes_socket, Command("remove", list(names)), click.echo)
    asyncio.run(tend(datadir.kubeconfig, {}, names))


@click.command("fail")
@data_dir_option
@_control_option
@click.option(
    "--how",
    type=click.Choice([how.value for how in How]),
    default=How.DEAD.value,
    show_default=True,
    help="dead: its kubelet stops; network: it runs on, but reaches nobody; flap: that, on and "
    "off.",
)
@click.option(
    "--period",
    "period_s",
    type=click.FloatRange(min=0.1),
    default=FLAP_PERIOD_S,
    show_default=True,
    help="Seconds for which a node that flaps is away, and is back.",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def fail(
    data_dir: Path, control: Path | None, how: str, period_s: float, names: tuple[str, ...]
) -> None:
    """Have nodes fail without a word, as machines do, until they are healed.

    The cluster notices after 50 seconds of silence, and evicts what does not tolerate it 300
    seconds later. A restart of their process heals nodes, too.
    """
    _command(data_dir, control, Command("fail", list(names), how=How(how), period_s=period_s))


@click.command("heal")
@data_dir_option
@_control_option
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def heal(data_dir: Path, control: Path | None, names: tuple[str, ...]) -> None:
    """Have failed nodes be well again."""
    _command(data_dir, control, Command("heal", list(names)))


COMMANDS = (add, remove, fail, heal)


def _command(data_dir: Path, control: Path | None, command: Command) -> None:
    if control is None:
        _running(data_dir)
    ask(control or DataDir(data_dir).nodes_socket, command, click.echo)


def _membership(data_dir: Path) -> Membership:
    return Membership(_running(data_dir), SystemClock())


def _running(data_dir: Path) -> DataDir:
    """Return a data directory whose nodes run."""
    datadir = existing_cluster(data_dir)
    running = datadir.running()
    if running is None:
        raise UsageError(f"no cluster runs in {datadir.path}: start it with `berth up`")
    if not any(process.name == "nodes" for process in running.processes):
        raise UsageError(
            f"the cluster in {datadir.path} was started without nodes: stop it with `berth down`, "
            "and start it with `berth up --nodes 1`"
        )
    return datadir


def _document(
    name: str, labels: Iterable[str], taints: Iterable[str], capacity: Iterable[str]
) -> dict[str, Any]:
    """Return the manifest of a node."""
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": dict(_pair("label", label) for label in labels)},
        "spec": {"taints": [_taint(taint) for taint in taints]},
        "status": {"capacity": dict(_pair("capacity", amount) for amount in capacity)},
    }


def _pair(option: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(f"--{option} {text}: it must be KEY=VALUE")
    return key, value


def _taint(text: str) -> dict[str, str]:
    what, colon, effect = text.rpartition(":")
    key, _, value = what.partition("=")
    if not colon or not key or effect not in EFFECTS:
        raise UsageError(
            f"--taint {text}: it must be KEY=VALUE:EFFECT or KEY:EFFECT, the effect one of "
            f"{', '.join(EFFECTS)}"
        )
    return {"key": key, "value": value, "effect": effect}
