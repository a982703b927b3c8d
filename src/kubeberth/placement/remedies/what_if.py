"""What-if: a pod placed in a copy of the cluster in which edits have been made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from msgspec.structs import replace

from kubeberth.api.core import Node, Pod
from kubeberth.api.meta import ObjectMeta
from kubeberth.placement.decision import Nomination
from kubeberth.placement.delta import NodePut, NodeRemoved, PodPut, PodRemoved, StoragePut
from kubeberth.placement.engine import Engine
from kubeberth.placement.placed import PlacedPod
from kubeberth.placement.profile import Profile
from kubeberth.placement.remedies.edit import Edit, edited
from kubeberth.placement.state import ClusterState
from kubeberth.placement.verdicts import judge

# No pod can be called so.
_NEXT = "+"
# When it was matters to nobody.
_TOLD_AT = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a pod went.

    Parameters
    ----------
    moved
        By pod that was evicted for it and is made again, the node that takes it then; empty when
        none does.
    """

    node: str
    moved: dict[str, str] = field(default_factory=dict)


class WhatIf:
    """Trials about one pod.

    Attributes
    ----------
    state
        A copy of the cluster as it is, for looking; what is tried in it is undone.
    """

    def __init__(self, state: ClusterState, pod: Pod, profile: Profile) -> None:
        self.state = state.fork()
        self.pod, self.profile = pod, profile

    def landing(self, edits: Iterable[Edit]) -> Landing | None:
        """Return where the pod goes once edits are made; None when it still fits nowhere."""
        edits = tuple(edits)
        pod = edited(self.pod, edits)
        if any(edit.evicts or edit.volumes_come for edit in edits):
            return self._in_copy(pod, edits)
        with self._changed_nodes(self.state, edits):
            node = self._place(self.state, pod)
        return None if node is None else Landing(node)

    def nomination(self, pod: Pod) -> Nomination | None:
        """Return whom another version of the pod would preempt."""
        return Engine(self.state, self.profile).place(pod).nomination

    def _in_copy(self, pod: Pod, edits: tuple[Edit, ...]) -> Landing | None:
        state = self.state.fork()
        evicted = [self.placed(key) for edit in edits for key in edit.evicts]
        state.apply_all(StoragePut(item) for edit in edits for item in edit.volumes_come)
        with self._changed_nodes(state, edits):
            # Most controllers do not wait until a pod has gone. What comes for it while it still
            # has its room may go elsewhere, or stay where it is in the way again.
            state.apply_all(PodPut(_leaving(placed), placed.node_name) for placed in evicted)
            moved = self._again(state, filter(_is_replaced_at_once, evicted))
            state.apply_all(PodRemoved(placed.key) for placed in evicted)
            waiting = [p for p in evicted if not moved.get(p.key) and _is_made_again(p)]
            # Whoever is more urgent comes first, and may well take its room back.
            moved |= self._again(state, (p for p in waiting if p.priority > pod.priority))
            node = self._place(state, pod)
            if node is None:
                return None
            state.apply(PodPut(pod, node))
            moved |= self._again(state, (p for p in waiting if p.priority <= pod.priority))
        return Landing(node, {p.key: moved[p.key] for p in evicted if p.key in moved})

    def _again(self, state: ClusterState, evicted: Iterable[PlacedPod]) -> dict[str, str]:
        """Place what comes for pods; return where it went, empty for what waits."""
        moved = {}
        for placed in evicted:
            again = to_pod(placed)
            target = self._place(state, again)
            if target is not None:
                state.apply(PodPut(again, target))
            moved[placed.key] = target or ""
        return moved

    def placed(self, key: str) -> PlacedPod:
        """Return a pod that is on a node."""
        node = self.state.node_of(key)
        return next(p for p in self.state.pods_on(node or "") if p.key == key)

    def _place(self, state: ClusterState, pod: Pod) -> str | None:
        verdicts = judge(state, state.request(pod), self.profile, pod.metadata.key)
        # An engine would go on to look for victims, which takes ten times as long.
        if verdicts.refused is not None or not verdicts.passes.any():
            return None
        return Engine(state, self.profile).place(pod).node

    @contextmanager
    def _changed_nodes(self, state: ClusterState, edits: tuple[Edit, ...]) -> Iterator[None]:
        before: dict[str, Node] = {}
        for edit in edits:
            slot = state.slot_of(edit.node) if edit.on_node is not None else None
            if slot is not None and edit.on_node is not None:
                before.setdefault(edit.node, state.node(slot))
                state.apply(NodePut(edit.on_node(state.node(slot))))
        new = [edit.node_comes for edit in edits if edit.node_comes is not None]
        state.apply_all(map(NodePut, new))
        yield
        state.apply_all(NodeRemoved(node.name) for node in new)
        state.apply_all(map(NodePut, before.values()))


def _is_made_again(placed: PlacedPod) -> bool:
    """Return whether something makes another pod in the place of one that goes."""
    return placed.request.meta.controller is not None


def _is_replaced_at_once(placed: PlacedPod) -> bool:
    """Return whether that one comes as soon as the pod is told to go, as its name is another."""
    owner = placed.request.meta.controller
    return owner is not None and owner.kind != "StatefulSet"


def _leaving(placed: PlacedPod) -> Pod:
    """Return a pod as it is once it was told to go."""
    meta = replace(_meta(placed, placed.name), deletion_timestamp=_TOLD_AT)
    return Pod(metadata=meta, spec=replace(placed.request.spec, node_name=placed.node_name))


def to_pod(placed: PlacedPod) -> Pod:
    """Return the pod that comes in the place of one that was evicted; it has a name of its own."""
    name = placed.name + _NEXT if _is_replaced_at_once(placed) else placed.name
    return Pod(metadata=_meta(placed, name), spec=replace(placed.request.spec, node_name=""))


def _meta(placed: PlacedPod, name: str) -> ObjectMeta:
    return replace(
        placed.request.meta,
        name=name,
        namespace=placed.key.partition("/")[0],
        labels=dict(placed.labels),
        uid="",
        deletion_timestamp=None,
    )
