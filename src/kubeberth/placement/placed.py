"""PlacedPod: a pod on a node, as far as others need to know about it."""

from __future__ import annotations

from typing import Final

import msgspec

from kubeberth.placement.census import Labels
from kubeberth.placement.request import PodRequest
from kubeberth.placement.reservation import Reservation

NOWHERE: Final = -1
"""Slot of a pod whose node does not exist."""


class PlacedPod(msgspec.Struct, frozen=True, gc=False):
    """A pod that is bound, assumed or nominated, and what it adds to its node.

    Parameters
    ----------
    key
        `namespace/name`.
    slot
        Of its node, `NOWHERE` while that does not exist.
    labels
        All of them, shared by pods that have the same.
    load
        What it adds to its node's load; differs from the template's when the kubelet reports other
        sizes.
    start_time
        When the kubelet took it on, in UTC and canonical, so that texts sort by time; None while it
        has not.
    makes_way
        Whether it is terminating because the scheduler preempted it.
    reservations
        What it was promised when it was assumed.
    """

    key: str
    node_name: str
    slot: int
    request: PodRequest
    labels: Labels
    load: int
    start_time: str | None = None
    makes_way: bool = False
    reservations: tuple[Reservation, ...] = ()

    @property
    def name(self) -> str:
        """The pod's name."""
        return self.key.partition("/")[2]

    @property
    def priority(self) -> int:
        """The pod's priority."""
        return self.request.priority
