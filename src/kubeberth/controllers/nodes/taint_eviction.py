"""Taint eviction: pods leave a node whose NoExecute taints they do not tolerate, or not for long.

Matches Kubernetes 1.36 (`pkg/controller/tainteviction`). A timer, once it runs for a pod, is never
moved; it only ends when the pod tolerates everything for ever, or the taints are gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubeberth.api.core import Node, Pod, Taint, Toleration
from kubeberth.api.disruption_target import evicted_by_taint
from kubeberth.api.meta import HasMetadata, to_documents
from kubeberth.api.scheme import NODES, PODS, Resource
from kubeberth.api.taints import tolerates
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import (
    Action,
    DeleteObject,
    Failure,
    Outcome,
    PatchObject,
    RecordEvent,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a pod.

    Parameters
    ----------
    evict_at
        When it has to go; None while it may stay.
    """

    outcome: Outcome
    evict_at: float | None = None


def tolerated_for_s(tolerations: Iterable[Toleration], taints: Iterable[Taint]) -> float | None:
    """Return how long taints are put up with: 0 not at all, None for ever.

    For each taint the first toleration that matches counts.
    """
    known = tuple(tolerations)
    shortest: float | None = None
    for taint in taints:
        used = next((entry for entry in known if tolerates(entry, taint)), None)
        if used is None:
            return 0.0
        if used.toleration_seconds is not None:
            allowed = max(0.0, float(used.toleration_seconds))
            shortest = allowed if shortest is None else min(shortest, allowed)
    return shortest


def decide(pod: Pod, taints: Iterable[Taint], evict_at: float | None, now: float) -> Decision:
    """Return whether a pod stays, waits or goes.

    Parameters
    ----------
    taints
        The NoExecute taints of its node.
    evict_at
        When its timer fires; None when none runs.
    """
    if pod.is_terminating:
        return Decision(Outcome())
    allowed_s = tolerated_for_s(pod.spec.tolerations, taints)
    if allowed_s is None:
        return Decision(Outcome(() if evict_at is None else (_cancelled(pod),)))
    if allowed_s == 0:
        return Decision(Outcome(tuple(_evict(pod, now))))
    at = now + allowed_s if evict_at is None else evict_at
    if at <= now:
        return Decision(Outcome(tuple(_evict(pod, now))))
    return Decision(Outcome((), at - now), at)


def _cancelled(pod: Pod) -> Action:
    message = f"Cancelling deletion of Pod {pod.metadata.key}"
    return RecordEvent(ref_of(PODS, pod), "TaintManagerEviction", message)


def _evict(pod: Pod, now: float) -> list[Action]:
    ref = ref_of(PODS, pod)
    patch = {"status": {"conditions": to_documents([evicted_by_taint(rfc3339(now))])}}
    message = f"Marking for deletion Pod {pod.metadata.key}"
    return [
        RecordEvent(ref, "TaintManagerEviction", message),
        PatchObject(ref, patch, sub="status", strategic=True, if_present=True),
        DeleteObject(ref),
    ]


def no_execute(node: Node | None) -> tuple[Taint, ...]:
    """Return a node's NoExecute taints; a node that does not exist has none."""
    taints = node.spec.taints if node is not None else ()
    return tuple(taint for taint in taints if taint.effect == "NoExecute")


class TaintEvictionReconciler(Reconciler):
    """Feeds `decide` from the cache, and remembers whose timer fires when; keys are pods."""

    name = "taint-eviction-controller"
    account = "taint-eviction-controller"
    resource = PODS
    follows = (NODES,)

    def __init__(self) -> None:
        self._evict_at: dict[str, float] = {}

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the pods whose tolerations, or whose node's taints, are others than before."""
        if resource == PODS:
            if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
                self._evict_at.pop(old.metadata.uid, None)
            if isinstance(new, Pod) and new.spec.node_name and _concern(old) != _concern(new):
                yield new.metadata.key
        elif resource == NODES and isinstance(new, Node):
            was = no_execute(old) if isinstance(old, Node) else ()
            if was != no_execute(new):
                yield from _pods_on(cache, new.metadata.name)

    @property
    def timers(self) -> int:
        """How many pods are to go at some time."""
        return len(self._evict_at)

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what becomes of the pod."""
        pod = cache.pods().get(key)
        if pod is None or not pod.spec.node_name:
            return Outcome()
        uid = pod.metadata.uid
        taints = no_execute(cache.node(pod.spec.node_name))
        decision = decide(pod, taints, self._evict_at.get(uid), now)
        if decision.evict_at is None:
            self._evict_at.pop(uid, None)
        else:
            self._evict_at[uid] = decision.evict_at
        return decision.outcome


def _concern(pod: HasMetadata | None) -> tuple[object, ...]:
    """Return what of a pod decides how long it may stay."""
    if not isinstance(pod, Pod):
        return ()
    return (pod.metadata.uid, pod.spec.node_name, pod.spec.tolerations)


def _pods_on(cache: Cache, node_name: str) -> list[str]:
    return [key for key, pod in cache.pods().items() if pod.spec.node_name == node_name]
