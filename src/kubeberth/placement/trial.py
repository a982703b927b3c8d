"""Trial: one node with other pods on it than there are, for a while.

Sums and counters show what would be; no log tells of it, for when the trial is over everything is
as before.
"""

from __future__ import annotations

from types import TracebackType

from kubeberth.placement.placed import PlacedPod
from kubeberth.placement.request import HostPort
from kubeberth.placement.state import ClusterState


class Trial:
    """A context in which pods are taken off nodes and put on them."""

    def __init__(self, state: ClusterState) -> None:
        self._state = state
        self._absent: dict[str, PlacedPod] = {}
        self._guests: list[PlacedPod] = []
        self._ports: dict[tuple[HostPort, int], bool] = {}

    def __enter__(self) -> Trial:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for guest in self._guests:
            self._state.count(guest, -1)
        for placed in self._absent.values():
            self._state.count(placed, +1)
        # Ports are sets, so a pod that shares a port with another does not leave it as it was.
        for (port, slot), was_taken in self._ports.items():
            self._state.count_port(port, slot, +1 if was_taken else -1)

    def remove(self, placed: PlacedPod) -> None:
        """Take a pod off its node."""
        self._note_ports(placed)
        self._absent[placed.key] = placed
        self._state.count(placed, -1)

    def put_back(self, placed: PlacedPod) -> None:
        """Put back a pod that was removed."""
        del self._absent[placed.key]
        self._state.count(placed, +1)

    def add(self, guest: PlacedPod) -> None:
        """Put a pod on a node that is not there."""
        self._note_ports(guest)
        self._guests.append(guest)
        self._state.count(guest, +1)

    def _note_ports(self, placed: PlacedPod) -> None:
        for port in placed.request.host_ports:
            users = self._state.ports_in_use.get(port, ())
            self._ports.setdefault((port, placed.slot), placed.slot in users)
