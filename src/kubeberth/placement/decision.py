"""Decision: what placing one pod came to, as data."""

from __future__ import annotations

import msgspec

from kubeberth.placement.reservation import Reservation


class Failure(msgspec.Struct, frozen=True):
    """Why a pod was not placed.

    Parameters
    ----------
    message
        kube-scheduler's text, word for word.
    rejected_by
        Names of the rules that refused a node; an event that may change their mind wakes the pod.
        Empty for errors and for a cluster without nodes: then the pod is tried again by itself.
    is_error
        Whether it is an internal error (`SchedulerError`) rather than `Unschedulable`.
    keeps_nomination
        Whether an earlier nomination stands, because victims were not even looked for.
    """

    message: str
    rejected_by: frozenset[str] = frozenset()
    is_error: bool = False
    keeps_nomination: bool = False


class Nomination(msgspec.Struct, frozen=True):
    """A node that a pod is to wait for, once its victims are asked to go.

    Parameters
    ----------
    victims
        `namespace/name` of each, the most important first.
    n_pdb_violations
        How many of them a disruption budget would keep.
    """

    node: str
    victims: tuple[str, ...]
    n_pdb_violations: int = 0


class Decision(msgspec.Struct, frozen=True, gc=False):
    """Where a pod goes; or `node` is None, and `failure` says why.

    Parameters
    ----------
    n_feasible
        How many nodes passed the hard rules.
    score
        Total of the chosen node; None when it was the only one, which needs no scoring.
    nomination
        Set when no node fits, but one can be made free.
    reservations
        What is promised to the pod there, to be made good before it is bound.
    """

    pod_key: str
    node: str | None
    n_nodes: int
    n_feasible: int = 0
    score: int | None = None
    failure: Failure | None = None
    nomination: Nomination | None = None
    reservations: tuple[Reservation, ...] = ()

    def __str__(self) -> str:
        if self.node is None:
            return f"{self.pod_key}: {self.failure.message if self.failure else ''}"
        of = "the only node that fits" if self.n_feasible == 1 else f"{self.n_feasible} nodes fit"
        return f"{self.pod_key} -> {self.node} ({of})"
