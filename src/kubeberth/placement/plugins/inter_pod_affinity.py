"""InterPodAffinity: be near to some pods and far from others, and let them have the same wish.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
Matches kube-scheduler 1.36 (plugins/interpodaffinity).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kubeberth.placement.plugin import Codes, Normalization, Reads, Rejection, Scores
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.vocabulary import ABSENT

_AFFINITY, _ANTI_AFFINITY, _EXISTING = 1, 2, 3
_REASONS = {
    _AFFINITY: "node(s) didn't match pod affinity rules",
    _ANTI_AFFINITY: "node(s) didn't match pod anti-affinity rules",
    _EXISTING: "node(s) didn't satisfy existing pods anti-affinity rules",
}

Mask = NDArray[np.bool_]


class InterPodAffinity:
    """Hard rule over required terms, soft rule over preferred ones, each in both directions.

    Parameters
    ----------
    hard_pod_affinity_weight
        What a required affinity term of a pod on a node adds to the score of the pods it means.
    """

    name: ClassVar[str] = "InterPodAffinity"
    reads: ClassVar[Reads] = Reads.CLUSTER
    normalization: ClassVar[Normalization] = Normalization.MIN_MAX

    def __init__(self, hard_pod_affinity_weight: int = 1) -> None:
        self._hard_weight = hard_pod_affinity_weight

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away nodes that break a required term; the code is the first of three steps."""
        existing = [counter for counter in request.label_class.anti if counter.n_entries]
        rules = request.pod_rules
        if not (rules.required or rules.anti or existing):
            return None
        codes = np.zeros(len(state.slots[nodes]), dtype=np.int64)
        for counter in existing:
            codes[counter.on(nodes) > 0] = _EXISTING
        for term in rules.anti:
            codes[request.own_counters[term].on(nodes) > 0] = _ANTI_AFFINITY
        if rules.required:
            codes[~_meets_affinity(state, request, nodes)] = _AFFINITY
        return codes

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what a code means; only missing affinity cannot be had by removing pods."""
        return Rejection(self.name, (_REASONS[code],), resolvable=code != _AFFINITY)

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return whether any pod or term adds anything, be it 0 in sum."""
        pods = request.label_class
        return (
            any(request.own_counters[term].n_entries for _, term in request.pod_rules.preferred)
            or any(counter.n_entries for counter in pods.preferred)
            or (self._hard_weight > 0 and any(counter.n_entries for counter in pods.affinity))
        )

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Add up the weights of the terms that the pods of each node's domains bring."""
        total = np.zeros(len(state.slots[nodes]), dtype=np.int64)
        for weight, term in request.pod_rules.preferred:
            total += weight * request.own_counters[term].on(nodes)
        for counter in request.label_class.preferred:
            total += counter.on(nodes)
        if self._hard_weight:
            for counter in request.label_class.affinity:
                total += self._hard_weight * counter.on(nodes)
        return total


def _meets_affinity(state: ClusterState, request: PodRequest, nodes: Nodes) -> Mask:
    """Return where every required term finds its pods, or the pod may be the first of its kind."""
    terms = request.pod_rules.required
    counters = [request.own_counters[term] for term in terms]
    has_keys = np.ones(len(state.slots[nodes]), dtype=bool)
    finds_pods = has_keys.copy()
    for counter in counters:
        has_keys &= counter.column.ids[nodes] != ABSENT
        finds_pods &= counter.on(nodes) > 0
    if any(counter.n_entries for counter in counters):
        return finds_pods
    # Nobody anywhere to be near to: a pod that its own terms mean may start the group.
    return has_keys if _means_itself(state, request) else np.zeros_like(has_keys)


def _means_itself(state: ClusterState, request: PodRequest) -> bool:
    pods = request.label_class
    return all(
        term.includes(pods.namespace, pods.labels, state.namespaces)
        for term in request.pod_rules.required
    )
