"""The scheduler's picture of the cluster: what the watches tell, plus what it has assumed itself.

    assume     a pod was given a node here; the binding call is under way
    confirm    the watch shows it there (or on another node: the watch is right)
    forget     the binding failed; the room is free again
    nominate   the pod waits for room that victims are to leave

Pure: input are watched objects, output are deltas on a ClusterState.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubeberth.api.core import Pod
from kubeberth.placement import observed
from kubeberth.placement.delta import Nominated, NominationCleared, PodPut, PodRemoved
from kubeberth.placement.loads import unpack
from kubeberth.placement.observed import Observed
from kubeberth.placement.request import PodRequest
from kubeberth.placement.reservation import Reservation
from kubeberth.placement.state import ClusterState
from kubeberth.placement.vocabulary import SCORED_CPU, SCORED_MEMORY


def occupies_node(pod: Pod | None) -> bool:
    """Return whether a pod counts on a node: it has one, and has not ended."""
    return pod is not None and bool(pod.spec.node_name) and not pod.is_terminal


class Cache:
    """Keeps a ClusterState in step with the watches."""

    def __init__(self) -> None:
        self.state = ClusterState()
        self._assumed: dict[str, str] = {}

    def put(self, item: Observed) -> None:
        """Take in a new or changed object of any kind but pods."""
        self.state.apply(observed.put(item))

    def remove(self, kind: type[Observed], key: str) -> None:
        """Take out an object that is gone, by `namespace/name` or name."""
        self.state.apply(observed.removed(kind, key))

    def put_pod(self, pod: Pod) -> None:
        """Take in a pod that the watch shows on a node; confirms an assumed one."""
        self._assumed.pop(pod.metadata.key, None)
        self.state.apply(PodPut(pod, pod.spec.node_name))

    def remove_pod(self, key: str) -> None:
        """Take out a pod that is gone or has ended, be it assumed or confirmed."""
        self._assumed.pop(key, None)
        self.state.apply(PodRemoved(key))

    def assume(
        self,
        pod: Pod,
        node_name: str,
        reservations: tuple[Reservation, ...] = (),
        request: PodRequest | None = None,
    ) -> None:
        """Count a pod on an existing node before the API server has heard of it.

        Parameters
        ----------
        reservations
            What it is promised there; taken back with the assumption.
        request
            Its template, where that is known.
        """
        meta = pod.metadata
        slot = self.state.slot_of(node_name)
        if slot is None:
            raise KeyError(f"no node {node_name}")
        self._assumed[meta.key] = meta.uid
        request = request or self.state.request(pod)
        self.state.assume(meta.key, meta.labels, request, slot, reservations)

    def forget(self, pod: Pod) -> bool:
        """Take back an assumption, and return whether there was one left to take back."""
        if self._assumed.get(pod.metadata.key) != pod.metadata.uid:
            return False
        self.remove_pod(pod.metadata.key)
        return True

    def nominate(self, pod: Pod, node_name: str) -> None:
        """Hold room on a node for a pending pod."""
        self.state.apply(Nominated(pod, node_name))

    def clear_nomination(self, key: str) -> bool:
        """Hold no more room for a pod, and return whether there was any held."""
        if key not in self.state.nominations.pods:
            return False
        self.state.apply(NominationCleared(key))
        return True

    def is_overcommitted(self, node_name: str) -> bool:
        """Return whether the pods of a node take more than it has."""
        slot = self.state.slot_of(node_name)
        if slot is None:
            return False
        taken = unpack(self.state.loads[slot], len(self.state.resources))
        there = self.state.allocatable[:, slot].tolist()
        # What pods count for in scores no node has.
        return any(
            amount > room
            for resource, (amount, room) in enumerate(zip(taken, there, strict=True))
            if resource not in (SCORED_CPU, SCORED_MEMORY)
        )

    def is_assumed(self, key: str) -> bool:
        """Return whether a pod is counted on a node that no watch has shown yet."""
        return key in self._assumed

    @property
    def assumed(self) -> Iterable[str]:
        """The pods that are counted on a node that no watch has shown yet."""
        return self._assumed.keys()

    @property
    def n_assumed(self) -> int:
        """How many these are."""
        return len(self._assumed)
