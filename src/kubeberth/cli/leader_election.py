"""Options and settings of leader election, as commands of components have them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import click
import msgspec

from kubeberth.api.scheduler_config import LeaderElection
from kubeberth.api.times import duration_s
from kubeberth.client.client import Client
from kubeberth.client.election import Election
from kubeberth.client.lease import Terms
from kubeberth.client.mandate import Alone, Mandate
from kubeberth.client.recorder import EventRecorder
from kubeberth.clock import SystemClock
from kubeberth.errors import UsageError
from kubeberth.placement.config.validation import leader_election_faults

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ElectionFlags:
    """What was said on the command line; None where nothing was, and the file counts."""

    leader_elect: bool | None = None
    leader_elect_lease_duration: str | None = None
    leader_elect_renew_deadline: str | None = None
    leader_elect_retry_period: str | None = None
    leader_elect_resource_lock: str | None = None
    leader_elect_resource_name: str | None = None
    leader_elect_resource_namespace: str | None = None

    def over(self, configured: LeaderElection) -> LeaderElection:
        """Return a configuration, with what was said on the command line in place."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        changes = {
            name if name == "leader_elect" else name.removeprefix("leader_elect_"): value
            for name, value in given.items()
            if value is not None
        }
        election = msgspec.structs.replace(configured, **changes)
        if faults := list(leader_election_faults(election, "leaderElection")):
            raise UsageError("\n".join(map(str, faults)))
        return election


def election_options(resource_name: str, rivals: str) -> Callable[[F], F]:
    """Return what adds a component's `--leader-elect` options, given to it as `election`.

    Parameters
    ----------
    resource_name
        Name of its lease, unless something else says otherwise.
    rivals
        What to call several of them.
    """

    def add(function: F) -> F:
        def command(**arguments: Any) -> Any:
            names = [field.name for field in fields(ElectionFlags)]
            flags = ElectionFlags(**{name: arguments.pop(name) for name in names})
            return function(election=flags, **arguments)

        command.__name__, command.__doc__ = function.__name__, function.__doc__
        # The parameters that other decorators have added so far.
        command.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        wrapped: Any = command
        for name, what in (
            ("resource-namespace", "Namespace of the lease.  [default: kube-system]"),
            ("resource-name", f"Name of the lease.  [default: {resource_name}]"),
            ("resource-lock", "Kind of the lease; there is one, leases."),
            ("retry-period", "Time between two tries.  [default: 2s]"),
            ("renew-deadline", "Without a renewal for so long, stop.  [default: 10s]"),
            ("lease-duration", "How long others wait before they take over.  [default: 15s]"),
        ):
            wrapped = click.option(f"--leader-elect-{name}", help=what)(wrapped)
        return click.option(  # type: ignore[no-any-return]
            "--leader-elect",
            type=bool,
            is_flag=False,
            flag_value="true",
            help=f"Take turns with other {rivals}; =false works alone.  [default: true]",
        )(wrapped)

    return add


def to_terms(election: LeaderElection) -> Terms | None:
    """Return the terms that a checked configuration means; None for a process without rivals."""
    if not election.leader_elect:
        return None
    return Terms(
        election.resource_namespace,
        election.resource_name,
        duration_s(election.lease_duration),
        duration_s(election.renew_deadline),
        duration_s(election.retry_period),
    )


@asynccontextmanager
async def mandate_by(
    election: LeaderElection, client: Client, component: str
) -> AsyncIterator[Mandate]:
    """Give what allows a process to work, for a while.

    Parameters
    ----------
    component
        Who tells the users, in an event, that it has won.
    """
    terms = to_terms(election)
    if terms is None:
        yield Alone()
        return
    clock = SystemClock()
    recorder = EventRecorder(client, component, clock)
    telling = asyncio.create_task(recorder.run())
    try:
        yield Election(client, terms, clock, recorder=recorder)
    finally:
        telling.cancel()
