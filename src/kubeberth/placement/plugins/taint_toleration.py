"""TaintToleration: keep a pod off nodes whose hard taints it does not tolerate.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
Matches kube-scheduler 1.36 (plugins/tainttoleration).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from kubeberth.api.core import Taint
from kubeberth.api.taints import tolerates
from kubeberth.placement.plugin import Codes, Normalization, Reads, Rejection, Scores
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes
from kubeberth.placement.vocabulary import TaintList

_HARD = ("NoSchedule", "NoExecute")
_SOFT = "PreferNoSchedule"


class TaintToleration:
    """Hard rule over NoSchedule and NoExecute taints, soft rule over PreferNoSchedule taints."""

    name: ClassVar[str] = "TaintToleration"
    reads: ClassVar[Reads] = Reads.NODE
    normalization: ClassVar[Normalization] = Normalization.REVERSED

    def filter(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Codes | None:
        """Turn away each node with a hard taint that the pod does not tolerate."""
        # Clusters have few distinct taint lists: decide once for each, then look up.
        table = [_n_untolerated(request, taints, _HARD) > 0 for taints in state.taint_lists.values]
        if not any(table):
            return None
        return np.array(table, dtype=np.int64)[state.taint_list_ids[nodes]]

    def rejection(self, state: ClusterState, request: PodRequest, code: int) -> Rejection:
        """Return what code 1 means."""
        return Rejection(self.name, ("node(s) had untolerated taint(s)",), resolvable=False)

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return True: nodes without soft taints earn the full score."""
        return True

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Count the soft taints that the pod does not tolerate."""
        table = [_n_untolerated(request, taints, (_SOFT,)) for taints in state.taint_lists.values]
        return np.array(table, dtype=np.int64)[state.taint_list_ids[nodes]]


def _n_untolerated(request: PodRequest, taints: TaintList, effects: tuple[str, ...]) -> int:
    return sum(
        effect in effects
        and not any(
            tolerates(toleration, Taint(key=key, value=value, effect=effect))
            for toleration in request.tolerations
        )
        for key, value, effect in taints
    )
