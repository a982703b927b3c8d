"""Keeps pods away from a node that runs out of something.

Matches kubelet 1.36 (`pkg/kubelet/eviction`, as an admission handler). Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubeberth.api.core import Taint
from kubeberth.api.qos import quality_of
from kubeberth.api.taints import tolerates
from kubeberth.kubelet.pod import KubeletPod
from kubeberth.topology.refusal import Refusal

MEMORY_PRESSURE = "MemoryPressure"
_TAINT = Taint(key="node.kubernetes.io/memory-pressure", effect="NoSchedule")


def pressed_out(pod: KubeletPod, pressure: Sequence[str]) -> Refusal | None:
    """Return why a node under pressure does not take a pod.

    Critical pods always may. Where only memory is short, those that asked for some may too, and
    those that put up with it.

    Parameters
    ----------
    pressure
        The node's conditions that are on, in the order in which they came.
    """
    if not pressure or pod.is_critical:
        return None
    if tuple(pressure) == (MEMORY_PRESSURE,) and (
        quality_of(pod) != "BestEffort"
        or any(tolerates(toleration, _TAINT) for toleration in pod.spec.tolerations)
    ):
        return None
    return Refusal("Evicted", f"The node had condition: [{' '.join(pressure)}]. ")
