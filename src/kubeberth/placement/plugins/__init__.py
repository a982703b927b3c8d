"""The rules, one a file, named as kube-scheduler names them.

The order in which they are asked is kube-scheduler's (`extension_points.py`): the first rule that
refuses a node is the one that is named for it.
"""

from __future__ import annotations

from kubeberth.api.scheduler_config import (
    Arguments,
    InterPodAffinityArgs,
    NodeAffinityArgs,
    NodeResourcesBalancedAllocationArgs,
    NodeResourcesFitArgs,
    PodTopologySpreadArgs,
)
from kubeberth.placement.plugin import Plugin
from kubeberth.placement.plugins.balanced_allocation import NodeResourcesBalancedAllocation
from kubeberth.placement.plugins.image_locality import ImageLocality
from kubeberth.placement.plugins.inter_pod_affinity import InterPodAffinity
from kubeberth.placement.plugins.node_affinity import NodeAffinity
from kubeberth.placement.plugins.node_declared_features import NodeDeclaredFeatures
from kubeberth.placement.plugins.node_name import NodeName
from kubeberth.placement.plugins.node_ports import NodePorts
from kubeberth.placement.plugins.node_resources_fit import NodeResourcesFit
from kubeberth.placement.plugins.node_unschedulable import NodeUnschedulable
from kubeberth.placement.plugins.node_volume_limits import NodeVolumeLimits
from kubeberth.placement.plugins.pod_topology_spread import PodTopologySpread
from kubeberth.placement.plugins.scheduling_gates import SchedulingGates
from kubeberth.placement.plugins.taint_toleration import TaintToleration
from kubeberth.placement.plugins.volume_binding import VolumeBinding
from kubeberth.placement.plugins.volume_restrictions import VolumeRestrictions
from kubeberth.placement.plugins.volume_zone import VolumeZone

__all__ = [
    "ImageLocality",
    "InterPodAffinity",
    "NodeAffinity",
    "NodeDeclaredFeatures",
    "NodeName",
    "NodePorts",
    "NodeResourcesBalancedAllocation",
    "NodeResourcesFit",
    "NodeUnschedulable",
    "NodeVolumeLimits",
    "PodTopologySpread",
    "SchedulingGates",
    "TaintToleration",
    "VolumeBinding",
    "VolumeRestrictions",
    "VolumeZone",
    "in_tree_plugins",
]

NO_ARGUMENTS = Arguments()


def in_tree_plugins(arguments: Arguments = NO_ARGUMENTS) -> tuple[Plugin, ...]:
    """Return every rule there is."""
    return (
        SchedulingGates(),
        NodeUnschedulable(),
        NodeName(),
        TaintToleration(),
        NodeAffinity(arguments.of(NodeAffinityArgs)),
        NodePorts(),
        NodeResourcesFit(arguments.of(NodeResourcesFitArgs)),
        VolumeRestrictions(),
        NodeVolumeLimits(),
        VolumeBinding(),
        VolumeZone(),
        PodTopologySpread(arguments.of(PodTopologySpreadArgs)),
        InterPodAffinity(arguments.of(InterPodAffinityArgs)),
        NodeResourcesBalancedAllocation(arguments.of(NodeResourcesBalancedAllocationArgs)),
        ImageLocality(),
        NodeDeclaredFeatures(),
    )
