"""Asking a live cluster why: its scheduler if it can be reached, else its objects."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import click
import msgspec

from kubeberth.api.core import Pod, decode_pod
from kubeberth.api.scheme import PODS
from kubeberth.cli.listing import all_of
from kubeberth.client import calls
from kubeberth.client.calls import Call
from kubeberth.client.client import Client
from kubeberth.client.credentials import Credentials
from kubeberth.cluster.datadir import DataDir
from kubeberth.errors import NoSuchObjectError, NotFoundError, TransportError, UsageError
from kubeberth.placement.why import Why
from kubeberth.planner.workload_why import (
    WorkloadWhy,
    belongs_to,
    ended,
    kind_and_name,
    no_such_pod,
    why_workload,
)


@dataclass(frozen=True, slots=True)
class Where:
    """Whom to ask.

    Parameters
    ----------
    scheduler
        URL of the scheduler; empty when there is none to ask.
    namespace
        Of what is asked about.
    """

    credentials: Credentials
    scheduler: str = ""
    namespace: str = ""
    config_file: Path | None = None
    is_insecure: bool = False

    def told(
        self,
        scheduler: str | None,
        namespace: str | None,
        config_file: Path | None,
        *,
        is_insecure: bool,
    ) -> Where:
        """Return whom to ask when somebody has said more about it."""
        return replace(
            self,
            scheduler=scheduler or (self.scheduler if config_file is None else ""),
            namespace=namespace or self.credentials.namespace,
            config_file=config_file,
            is_insecure=is_insecure,
        )


def find(data_dir: Path, credentials: Credentials) -> Where:
    """Return how to reach the cluster that is meant, and its scheduler's URL if it is known."""
    datadir = DataDir(data_dir)
    running = datadir.running() if datadir.exists() else None
    is_ours = running is not None and credentials.server == running.server
    return Where(credentials, running.scheduler if running is not None and is_ours else "")


def ask(where: Where, target: str) -> Why | WorkloadWhy:
    """Return why a pod, or the pods of a workload, are where they are.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    return asyncio.run(_ask(where, target))


async def _ask(where: Where, target: str) -> Why | WorkloadWhy:
    kind, name = kind_and_name(target)
    async with Client(where.credentials) as client:
        if kind == PODS.kind:
            pod = await _find_pod(client, where.namespace, name)
            return ended(pod) if pod.is_terminal else await _why(where, client, pod)
        pods = [
            pod
            async for document in all_of(client, PODS, where.namespace)
            if belongs_to(pod := msgspec.convert(document, Pod), kind, name) and not pod.is_terminal
        ]
        asked = {p.metadata.key: p for p in _one_of_each(f"{kind}/{name}", pods)}
        whys = {key: await _why(where, client, pod) for key, pod in asked.items()}
    return why_workload(f"{kind}/{name}", pods, _reason, lambda pod: whys[pod.metadata.key])


def _one_of_each(workload: str, pods: list[Pod]) -> list[Pod]:
    """Return the pods that `why_workload` will ask about."""
    asked: list[Pod] = []

    def note(pod: Pod) -> Why:
        asked.append(pod)
        return Why(pod.metadata.key, "unknown", "")

    why_workload(workload, pods, _reason, note)
    return asked


def _reason(pod: Pod) -> str:
    condition = pod.condition("PodScheduled")
    return condition.message if condition is not None else ""


async def _find_pod(client: Client, namespace: str, name: str) -> Pod:
    try:
        return decode_pod(await client.send(calls.get(PODS, name, namespace)))
    except NotFoundError:
        others = [msgspec.convert(each, Pod) async for each in all_of(client, PODS, namespace)]
        raise no_such_pod(name, namespace, others) from None


async def _why(where: Where, client: Client, pod: Pod) -> Why:
    if where.scheduler:
        try:
            return await _asked(where, pod)
        except TransportError as error:
            click.echo(f"warning: no answer from the scheduler: {error}", err=True)
        except NotFoundError:
            # It has not heard of the pod yet, or no more.
            click.echo("warning: the scheduler does not know the pod", err=True)
    # What places pods takes a while to import, and is not needed to ask a scheduler.
    from kubeberth.cli.live import read_cluster

    cluster, passed_over = await read_cluster(client, where.config_file)
    for line in passed_over:
        click.echo(f"warning: {line}", err=True)
    try:
        found = cluster.why(pod.metadata.key)
    except NoSuchObjectError:
        raise UsageError(f'pods "{pod.metadata.name}" is gone by now') from None
    if found.state == "pending" and found.n_feasible and pod.condition("PodScheduled") is None:
        name = pod.spec.scheduler_name
        note = f'{found.message}; no scheduler has looked at it yet: does "{name}" run?'
        return msgspec.structs.replace(found, message=note)
    return found


async def _asked(where: Where, pod: Pod) -> Why:
    known = replace(where.credentials, server=where.scheduler.rstrip("/"))
    if where.is_insecure:
        known = replace(known, insecure=True)
    async with Client(known) as client:
        body = await client.send(Call("GET", f"/why/{pod.metadata.key}"))
    try:
        return msgspec.json.decode(body, type=Why)
    except msgspec.DecodeError as error:
        raise UsageError(f"{known.server} is no scheduler of kubeberth: {error}") from None
