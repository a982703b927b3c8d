"""Pod garbage collection: pods that nobody will ever end, or of which there are too many.

Matches Kubernetes 1.36 (`pkg/controller/podgc`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubeberth.api.core import Node, Pod
from kubeberth.api.disruption_target import node_gone
from kubeberth.api.meta import Condition, HasMetadata, to_documents
from kubeberth.api.scheme import NODES, PODS, Resource
from kubeberth.api.workloads import seconds_of
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import (
    Action,
    ConfirmAbsent,
    DeleteObject,
    Failure,
    ObjectRef,
    Outcome,
    PatchObject,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler

PERIOD_S = 20.0
QUARANTINE_S = 40.0
TERMINATED_THRESHOLD = 12500
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
# The key of the periodic pass; the other keys are names of nodes that are missed.
PASS = ""


def reconcile_pass(
    pods: Iterable[Pod], nodes: Mapping[str, Node], threshold: int = TERMINATED_THRESHOLD
) -> Outcome:
    """Return the deletions of one periodic pass."""
    everyone = list(pods)
    actions = _excess(everyone, threshold)
    for pod in everyone:
        if pod.is_terminating and _is_abandoned(pod, nodes):
            actions += _force_delete(pod)
    return Outcome(tuple(actions), PERIOD_S)


def reconcile_missing(
    node_name: str, pods: Iterable[Pod], missing_for_s: float, now: float
) -> Outcome:
    """Return what becomes of the pods of a node that does not exist.

    Parameters
    ----------
    missing_for_s
        How long the node has been missed; it gets 40 s to appear.
    """
    if missing_for_s < QUARANTINE_S:
        return Outcome((), QUARANTINE_S - missing_for_s)
    actions: list[Action] = [ConfirmAbsent(ObjectRef(NODES, node_name))]
    for pod in pods:
        actions += _force_delete(pod, condition=node_gone(rfc3339(now)))
    return Outcome(tuple(actions))


def _excess(pods: Iterable[Pod], threshold: int) -> list[Action]:
    ended = [pod for pod in pods if pod.is_terminal]
    excess = len(ended) - threshold
    if threshold <= 0 or excess <= 0:
        return []
    ended.sort(key=_gc_order)
    return [action for pod in ended[:excess] for action in _force_delete(pod)]


def _gc_order(pod: Pod) -> tuple[bool, float, str]:
    meta = pod.metadata
    return (pod.status.reason != "Evicted", seconds_of(meta.creation_timestamp), meta.key)


def _is_abandoned(pod: Pod, nodes: Mapping[str, Node]) -> bool:
    """Return whether no kubelet will confirm the end of a terminating pod."""
    if not pod.spec.node_name:
        return True
    node = nodes.get(pod.spec.node_name)
    if node is None:
        return False
    ready = node.condition("Ready")
    is_ready = ready is not None and ready.status == "True"
    return not is_ready and any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints)


def _force_delete(pod: Pod, condition: Condition | None = None) -> list[Action]:
    """Return what removes a pod: it ends first, so that it is not mistaken for a running one."""
    ref = ref_of(PODS, pod)
    actions: list[Action] = []
    if not pod.is_terminal:
        told = {} if condition is None else {"conditions": to_documents([condition])}
        status = {"phase": "Failed", **told}
        patch = {"status": status}
        actions.append(PatchObject(ref, patch, sub="status", strategic=True, if_present=True))
    return [*actions, DeleteObject(ref, grace_period_s=0)]


class PodGCReconciler(Reconciler):
    """Feeds the two reconciles from the cache, and remembers since when a node is missed."""

    name = "pod-garbage-collector-controller"
    account = "pod-garbage-collector"
    resource = NODES
    follows = (PODS,)
    seeds = (PASS,)

    def __init__(self, threshold: int = TERMINATED_THRESHOLD) -> None:
        self._threshold = threshold
        self._missing_since: dict[str, float] = {}

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the node that a pod is bound to though there is none, or that just went."""
        if resource == NODES and new is None and old is not None:
            return [old.metadata.name]
        if resource == PODS and isinstance(new, Pod) and _is_misplaced(cache, new):
            return [new.spec.node_name]
        return []

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what a pass, or a missing node, asks for."""
        if key == PASS:
            return reconcile_pass(cache.pods().values(), cache.nodes(), self._threshold)
        if cache.node(key) is not None:
            self._missing_since.pop(key, None)
            return Outcome()
        pods = [pod for pod in cache.pods().values() if pod.spec.node_name == key]
        if not pods:
            self._missing_since.pop(key, None)
            return Outcome()
        since = self._missing_since.setdefault(key, now)
        return reconcile_missing(key, pods, now - since, now)


def _is_misplaced(cache: Cache, pod: Pod) -> bool:
    return bool(pod.spec.node_name) and cache.node(pod.spec.node_name) is None
