"""The rules, one a file, named as kube-scheduler names them, and all of them in its order.

The first rule that refuses a node is the one that is named for it, so the order matters.
"""

from __future__ import annotations

from kubeberth.placement.plugin import FilterPlugin, PreFilterPlugin, ScorePlugin
from kubeberth.placement.plugins.balanced_allocation import NodeResourcesBalancedAllocation
from kubeberth.placement.plugins.inter_pod_affinity import InterPodAffinity
from kubeberth.placement.plugins.node_affinity import NodeAffinity
from kubeberth.placement.plugins.node_name import NodeName
from kubeberth.placement.plugins.node_ports import NodePorts
from kubeberth.placement.plugins.node_resources_fit import NodeResourcesFit
from kubeberth.placement.plugins.node_unschedulable import NodeUnschedulable
from kubeberth.placement.plugins.pod_topology_spread import PodTopologySpread
from kubeberth.placement.plugins.scheduling_gates import SchedulingGates
from kubeberth.placement.plugins.taint_toleration import TaintToleration

__all__ = [
    "FILTERS",
    "PRE_FILTERS",
    "SCORES",
    "InterPodAffinity",
    "NodeAffinity",
    "NodeName",
    "NodePorts",
    "NodeResourcesBalancedAllocation",
    "NodeResourcesFit",
    "NodeUnschedulable",
    "PodTopologySpread",
    "SchedulingGates",
    "TaintToleration",
]

PRE_FILTERS: tuple[PreFilterPlugin, ...] = (NodeAffinity(),)

FILTERS: tuple[FilterPlugin, ...] = (
    NodeUnschedulable(),
    NodeName(),
    TaintToleration(),
    NodeAffinity(),
    NodePorts(),
    NodeResourcesFit(),
    PodTopologySpread(),
    InterPodAffinity(),
)

# With the weights of the default profile.
SCORES: tuple[tuple[ScorePlugin, int], ...] = (
    (TaintToleration(), 3),
    (NodeAffinity(), 2),
    (NodeResourcesFit(), 1),
    (PodTopologySpread(), 2),
    (InterPodAffinity(), 2),
    (NodeResourcesBalancedAllocation(), 1),
)
