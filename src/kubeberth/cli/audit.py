"""`berth audit`: what a live cluster trusts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec

from kubeberth.api import scheme
from kubeberth.api.scheme import Resource
from kubeberth.cli.listing import all_of
from kubeberth.cli.options import context_option, kubeconfig_option
from kubeberth.client.client import Client
from kubeberth.library.label_audit import LabelAudit, audit_labels

# What places pods, each before what it makes.
PLACING: tuple[Resource, ...] = (
    scheme.NAMESPACES,
    scheme.RUNTIME_CLASSES,
    scheme.CRON_JOBS,
    scheme.JOBS,
    scheme.DAEMON_SETS,
    scheme.DEPLOYMENTS,
    scheme.REPLICA_SETS,
    scheme.STATEFUL_SETS,
    scheme.REPLICATION_CONTROLLERS,
    scheme.PODS,
)


@click.group("audit")
def command() -> None:
    """Show what a live cluster trusts."""


@command.command("labels")
@kubeconfig_option
@context_option
@click.option("--all", "all_labels", is_flag=True, help="Also labels that no placement hangs on.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table")
def labels(kubeconfig: Path, context: str | None, all_labels: bool, output: str) -> None:
    """Show which placements hang on labels that nodes may set on themselves, and which did.

    Who set a label is what its owner in managedFields says of itself: a hint, no proof.
    """
    found = asyncio.run(_audit(kubeconfig, context, all_labels=all_labels))
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    for line in _tables(found):
        click.echo(line)


async def _audit(kubeconfig: Path, context: str | None, *, all_labels: bool) -> LabelAudit:
    async with Client.from_kubeconfig(kubeconfig, context) as client:
        objects = [found for resource in PLACING async for found in all_of(client, resource)]
        nodes = [found async for found in all_of(client, scheme.NODES)]
    return audit_labels(objects, nodes, all_labels=all_labels)


def _tables(found: LabelAudit) -> Iterator[str]:
    if not found.placements:
        yield "No placement hangs on a label that a node may set on itself."
    else:
        yield from _table(
            ("NAMESPACE", "OBJECT", "LABEL", "SEVERITY", "PODS", "USE INSTEAD"),
            [
                (
                    placement.namespace or "-",
                    f"{placement.kind}/{placement.name}",
                    placement.label,
                    placement.severity,
                    str(placement.pods),
                    placement.use_instead,
                )
                for placement in found.placements
            ],
        )
    if found.node_labels:
        yield ""
        yield from _table(
            ("NODE", "LABEL", "VALUE", "SET BY", "BY ITSELF"),
            [
                (
                    label.node,
                    label.label,
                    label.value or '""',
                    ",".join(label.managers) or "unknown",
                    "yes" if label.is_self_set else "no",
                )
                for label in found.node_labels
            ],
        )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        yield "   ".join(map(str.ljust, row, widths)).rstrip()
