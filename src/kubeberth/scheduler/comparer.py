"""Comparer: finds where the books that decisions go by differ from what the watches have told.

There should never be anything to find. Whatever it finds is a bug in keeping the books, and every
decision since may rest on it. Matches kube-scheduler's cache comparer (backend/cache/debugger), and
adds up what the pods of each node take, too. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from kubeberth.api.core import Node, Pod
from kubeberth.placement.loads import capacity_class_of, unpack
from kubeberth.scheduler.cache import Cache, occupies_node
from kubeberth.scheduler.queue import SchedulingQueue


def drift(
    cache: Cache,
    queue: SchedulingQueue,
    nodes: Mapping[str, Node],
    pods: Mapping[str, Pod],
    is_ours: Callable[[Pod], bool],
) -> list[str]:
    """Return what differs, a line each.

    Parameters
    ----------
    nodes, pods
        What the watches have told, by key.
    is_ours
        Whether this scheduler places a pod.
    """
    return [
        *_of_nodes(cache, nodes),
        *_of_placed(cache, pods),
        *_of_pending(cache, queue, pods, is_ours),
        *_of_amounts(cache),
    ]


def _of_nodes(cache: Cache, nodes: Mapping[str, Node]) -> Iterator[str]:
    state = cache.state
    for name in sorted(nodes.keys() - set(state.node_names)):
        yield f"node {name} is missing from the cache"
    for name in sorted(state.node_names):
        slot = state.slot_of(name)
        if name not in nodes:
            yield f"node {name} is in the cache and nowhere else"
        elif slot is not None and state.node(slot) != nodes[name]:
            yield f"node {name} is out of date in the cache"


def _of_placed(cache: Cache, pods: Mapping[str, Pod]) -> Iterator[str]:
    state, assumed = cache.state, set(cache.assumed)
    told = {key: pod.spec.node_name for key, pod in pods.items() if occupies_node(pod)}
    for key, node in told.items():
        found = state.node_of(key)
        if found is None:
            yield f"pod {key} on node {node} is missing from the cache"
        elif found != node:
            yield f"pod {key} is on node {node}, in the cache on {found}"
    for name in state.node_names:
        for placed in state.pods_on(name):
            if placed.key not in told and placed.key not in assumed:
                yield f"pod {placed.key} is in the cache on node {name} and nowhere else"


def _of_pending(
    cache: Cache, queue: SchedulingQueue, pods: Mapping[str, Pod], is_ours: Callable[[Pod], bool]
) -> Iterator[str]:
    for key, pod in pods.items():
        if pod.spec.node_name or pod.is_terminal or not is_ours(pod):
            continue
        # One that is being deleted is not tried, and not kept.
        if key not in queue and not pod.is_terminating and not cache.is_assumed(key):
            yield f"pod {key} has no node and is missing from the queue"
    for entry in queue:
        if entry.pod.metadata.key not in pods:
            yield f"pod {entry.pod.metadata.key} is in the queue and nowhere else"


def _of_amounts(cache: Cache) -> Iterator[str]:
    state = cache.state
    n_resources = len(state.resources)
    for name in state.node_names:
        slot = state.slot_of(name)
        if slot is None:
            continue
        counted = state.loads[slot]
        summed = capacity_class_of(counted) + sum(pod.load for pod in state.pods_on(name))
        if counted == summed:
            continue
        pairs = zip(unpack(counted, n_resources), unpack(summed, n_resources), strict=True)
        for resource, (has, ought) in zip(state.resources.values, pairs, strict=False):
            if has != ought:
                yield f"node {name} counts {has} of {resource}, its pods take {ought}"
