"""Node lifecycle: what a node's conditions, its cordon and its silence mean for placement.

Matches Kubernetes 1.36 (`pkg/controller/nodelifecycle`): NoSchedule taints mirror conditions at
once; a kubelet silent for 50 s makes its node Unknown and its pods not ready. NoExecute taints
come one after the other, zone by zone (`zone_evictions`). Who starts begins anew: such taints of
before go, and must be earned again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from kubeberth.api.core import Node, Pod, Taint
from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import NODES, PODS, Resource
from kubeberth.api.workloads import Lease, seconds_of
from kubeberth.api.workloads import is_ready as is_pod_ready
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import (
    Action,
    Failure,
    Outcome,
    PatchObject,
    RecordEvent,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.nodes.zone_evictions import ZoneEvictions, is_ready
from kubeberth.controllers.reconciler import Reconciler
from kubeberth.errors import TransportError

MONITOR_PERIOD_S = 5.0
GRACE_PERIOD_S = 50.0
STARTUP_GRACE_PERIOD_S = 60.0
LEASE_NAMESPACE = "kube-node-lease"
PASS = ""
# The failure of a reconcile whose API calls were not answered.
SERVER_AWAY = TransportError.__name__

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
# Taint key per condition type and status; all these keys, NoSchedule, are ours alone.
NO_SCHEDULE = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
OWNED_NO_SCHEDULE = frozenset((*NO_SCHEDULE.values(), UNSCHEDULABLE))
OWNED_NO_EXECUTE = frozenset((NOT_READY, UNREACHABLE))
POSTED_BY_KUBELET = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(frozen=True, slots=True)
class View:
    """What one reconcile looks at.

    Parameters
    ----------
    silent_for_s
        How long nothing was heard of the kubelet, by the controller's own clock.
    evicts_in_s
        When the node may evict its pods, if it is down; infinity for never as things are.
    """

    node: Node
    pods: tuple[Pod, ...]
    silent_for_s: float
    evicts_in_s: float = math.inf


def reconcile(view: View, now: float) -> Outcome:
    """Return the taints a node should have, and what its silence means."""
    node = view.node
    if _is_silent(view):
        # The taints follow when the conditions are back from the API.
        actions = _declare_unknown(view, now)
    else:
        actions = _taint(node, now, evict=view.evicts_in_s <= 0)
    if _status_of(node, "Ready") == "Unknown":
        actions += _pods_not_ready(view.pods, now)
    wait_s = view.evicts_in_s if view.evicts_in_s > 0 else math.inf
    return Outcome(tuple(actions), min(wait_s, MONITOR_PERIOD_S))


def _is_silent(view: View) -> bool:
    ready = view.node.condition("Ready")
    grace = STARTUP_GRACE_PERIOD_S if ready is None else GRACE_PERIOD_S
    if view.silent_for_s <= grace:
        return False
    return any(_status_of(view.node, type_) != "Unknown" for type_ in POSTED_BY_KUBELET)


def _status_of(node: Node, type_: str) -> str:
    condition = node.condition(type_)
    return condition.status if condition is not None else ""


def _declare_unknown(view: View, now: float) -> list[Action]:
    node, me = view.node, ref_of(NODES, view.node)
    conditions = [_unknown(node, type_, now) for type_ in POSTED_BY_KUBELET]
    patch = {"status": {"conditions": conditions}}
    actions: list[Action] = [PatchObject(me, patch, sub="status", strategic=True)]
    if _status_of(node, "Ready") == "True":
        message = f"Node {me.name} status is now: NodeNotReady"
        actions.append(RecordEvent(me, "NodeNotReady", message))
        actions += _pods_not_ready(view.pods, now)
    return actions


def _unknown(node: Node, type_: str, now: float) -> dict[str, Any]:
    condition = node.condition(type_)
    if condition is None:
        return {
            "type": type_,
            "status": "Unknown",
            "reason": "NodeStatusNeverUpdated",
            "message": "Kubelet never posted node status.",
            "lastHeartbeatTime": node.metadata.creation_timestamp,
            "lastTransitionTime": rfc3339(now),
        }
    since = condition.last_transition_time if condition.status == "Unknown" else rfc3339(now)
    return {
        "type": type_,
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status.",
        "lastHeartbeatTime": condition.last_heartbeat_time,
        "lastTransitionTime": since,
    }


def _pods_not_ready(pods: Iterable[Pod], now: float) -> list[Action]:
    actions: list[Action] = []
    for pod in pods:
        if is_pod_ready(pod):
            ref = ref_of(PODS, pod)
            condition = {"type": "Ready", "status": "False", "lastTransitionTime": rfc3339(now)}
            patch = {"status": {"conditions": [condition]}}
            actions.append(PatchObject(ref, patch, sub="status", strategic=True, if_present=True))
            actions.append(RecordEvent(ref, "NodeNotReady", "Node is not ready", "Warning"))
    return actions


def wanted_taints(node: Node, now: float, *, evict: bool) -> tuple[Taint, ...]:
    """Return the taints that the node should have: those of others, then ours.

    Parameters
    ----------
    evict
        Whether a node that is down may repel the pods it has.
    """
    no_schedule = {
        key for (type_, status), key in NO_SCHEDULE.items() if _status_of(node, type_) == status
    }
    if node.spec.unschedulable:
        no_schedule.add(UNSCHEDULABLE)
    down = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(_status_of(node, "Ready"))
    no_execute = {down} if down is not None and evict else set()
    wanted = {(key, "NoSchedule") for key in no_schedule} | {
        (key, "NoExecute") for key in no_execute
    }
    kept = tuple(
        taint
        for taint in node.spec.taints
        if not _is_owned(taint) or (taint.key, taint.effect) in wanted
    )
    missing = wanted - {(taint.key, taint.effect) for taint in kept}
    added = tuple(
        Taint(key=key, effect=effect, time_added=rfc3339(now)) for key, effect in sorted(missing)
    )
    return kept + added


def _is_owned(taint: Taint) -> bool:
    if taint.effect == "NoSchedule":
        return taint.key in OWNED_NO_SCHEDULE
    return taint.effect == "NoExecute" and taint.key in OWNED_NO_EXECUTE


def _taint(node: Node, now: float, *, evict: bool) -> list[Action]:
    taints = wanted_taints(node, now, evict=evict)
    if taints == node.spec.taints:
        return []
    patch = {
        "metadata": {"resourceVersion": node.metadata.resource_version},
        "spec": {"taints": [msgspec.to_builtins(taint) for taint in taints] or None},
    }
    return [PatchObject(ref_of(NODES, node), patch)]


@dataclass(slots=True)
class _Heard:
    """The last sign of life of a kubelet, and when the controller noticed it."""

    sign: tuple[str, str]
    at: float


class NodeLifecycleReconciler(Reconciler):
    """Feeds `reconcile` from the cache, and remembers when each kubelet was last heard of.

    Signs of life are compared with each other only, never with the controller's clock. Keys are
    nodes, and one for a pass over all of them.
    """

    name = "node-controller"
    account = "node-controller"
    resource = NODES
    seeds = (PASS,)

    def __init__(self) -> None:
        self._heard: dict[str, _Heard] = {}
        self._evictions = ZoneEvictions()

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the node that changed, after a pass over all if that makes a zone another one."""
        was_ready, ready = (isinstance(node, Node) and is_ready(node) for node in (old, new))
        if ready is not was_ready:
            yield PASS
        yield from super().keys(cache, resource, old, new)

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the node needs."""
        if key == PASS:
            return self._look_at_all(cache, now)
        node = cache.node(key)
        if node is None:
            self._heard.pop(key, None)
            self._evictions.forget(key)
            return Outcome()
        if failure is not None and failure.reason == SERVER_AWAY:
            # No kubelet could be heard of either: each gets its time again.
            self._heard.pop(key, None)
        silent_for_s = now - self._last_heard(node, cache.lease(f"{LEASE_NAMESPACE}/{key}"), now)
        is_down = not is_ready(node)
        suspicious = is_down or silent_for_s > GRACE_PERIOD_S
        pods = _pods_of(cache, key) if suspicious else ()
        if not is_down:
            self._evictions.forget(key)
            return reconcile(View(node, pods, silent_for_s), now)
        return reconcile(View(node, pods, silent_for_s, self._evictions.wait_s(key, now)), now)

    def _look_at_all(self, cache: Cache, now: float) -> Outcome:
        """See how much of each zone is down; after a time when all was, all start anew."""
        if self._evictions.look(cache.nodes().values(), now):
            for heard in self._heard.values():
                heard.at = now
        return Outcome(requeue_after_s=MONITOR_PERIOD_S)

    def _last_heard(self, node: Node, lease: Lease | None, now: float) -> float:
        ready = node.condition("Ready")
        heartbeat = ready.last_heartbeat_time if ready is not None else None
        renewed = lease.spec.renew_time if lease is not None else None
        sign = (heartbeat or "", renewed or "")
        heard = self._heard.get(node.metadata.name)
        if heard is None:
            # A node without any status has had since its creation to post one.
            at = now if ready is not None else seconds_of(node.metadata.creation_timestamp)
            heard = self._heard[node.metadata.name] = _Heard(sign, at)
        elif heard.sign != sign:
            heard.sign, heard.at = sign, now
        return heard.at


def _pods_of(cache: Cache, node_name: str) -> tuple[Pod, ...]:
    return tuple(pod for pod in cache.pods().values() if pod.spec.node_name == node_name)
