"""A Lease as the seat that several candidates want: who has it, and who may take it. Pure.

Matches client-go (tools/leaderelection): a candidate trusts no clock but its own. What counts is
not the time that is written in the lease, but for how long the lease has been seen to stay the
same: after `leaseDurationSeconds` of that, the seat is free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """How a seat is held; times are those of upstream's components.

    Parameters
    ----------
    lease_s
        For how long others wait for a sign of life before they take the seat.
    renew_s
        For how long the holder tries to give one before it counts the seat as lost.
    retry_s
        How long everybody waits between two tries.
    """

    namespace: str = "kube-system"
    name: str = "kube-scheduler"
    lease_s: float = 15.0
    renew_s: float = 10.0
    retry_s: float = 2.0

    @property
    def key(self) -> str:
        """`namespace/name` of the Lease."""
        return f"{self.namespace}/{self.name}"


class Candidate:
    """One of those who want a seat.

    Attributes
    ----------
    holder
        Who has the seat, as far as is known.
    """

    def __init__(self, terms: Terms, identity: str) -> None:
        self.terms = terms
        self.identity = identity
        self.holder = ""
        self._seen: Document | None = None
        self._seen_at = -math.inf

    @property
    def is_holder(self) -> bool:
        """Whether the lease, as last seen, names this candidate."""
        return self.holder == self.identity

    def see(self, lease: Document, now: float) -> None:
        """Take note of the lease as it is, at a moment of a clock that never goes back."""
        if self._seen is None or _version(lease) != _version(self._seen):
            self._seen, self._seen_at = lease, now
            self.holder = _spec(lease).get("holderIdentity") or ""

    def see_none(self) -> None:
        """Take note that there is no lease."""
        self._seen, self._seen_at, self.holder = None, -math.inf, ""

    def may_take(self, now: float) -> bool:
        """Return whether the seat is this candidate's, free, or its holder silent for too long."""
        if self._seen is None or not self.holder or self.is_holder:
            return True
        return now > self._seen_at + float(_spec(self._seen).get("leaseDurationSeconds") or 0)

    def claim(self, now: str) -> Document:
        """Return the lease that says that the seat is this candidate's.

        Parameters
        ----------
        now
            Wall clock time as `metav1.MicroTime` prints it.
        """
        old = {} if self._seen is None else _spec(self._seen)
        since, transitions = now, int(old.get("leaseTransitions") or 0)
        if self.is_holder:
            since = old.get("acquireTime") or since
        elif self._seen is not None:
            transitions += 1
        return self._lease(self.identity, math.ceil(self.terms.lease_s), since, now, transitions)

    def release(self, now: str) -> Document:
        """Return the lease that says that the seat is free."""
        old = {} if self._seen is None else _spec(self._seen)
        transitions = int(old.get("leaseTransitions") or 0)
        return self._lease("", 1, now, now, transitions)

    def _lease(self, holder: str, lease_s: int, since: str, now: str, transitions: int) -> Document:
        # What others have written beside the holder, such as labels, stays; and the version makes
        # sure that of two who claim the seat at once, one fails.
        known = {} if self._seen is None else self._seen["metadata"]
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {**known, "name": self.terms.name, "namespace": self.terms.namespace},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": lease_s,
                "acquireTime": since,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }


def _spec(lease: Mapping[str, Any]) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = lease.get("spec") or {}
    return spec


def _version(lease: Mapping[str, Any]) -> str:
    return str(lease["metadata"].get("resourceVersion", ""))
