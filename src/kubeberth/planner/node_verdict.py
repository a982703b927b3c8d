"""What the kubelet of a node says to a pod that comes with it, by the kubelet's own code."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from kubeberth.api.core import Node, Pod
from kubeberth.kubelet.admission import Holdings, Situation, Verdict, admit
from kubeberth.kubelet.pod import KubeletPod
from kubeberth.kubelet.predicates import with_own_os
from kubeberth.planner.snapshot import as_json
from kubeberth.topology.managers import Allocations, Managers

_PRESSURE = ("MemoryPressure", "DiskPressure", "PIDPressure")
# Which CPUs and devices a pod gets is for its kubelet to know.
_NOTHING_OF_ITS_OWN = Holdings(Managers.idle(), Allocations())


def verdict_on(pod: Pod, node: Node, others: Iterable[Pod]) -> Verdict:
    """Return whether a node takes a pod, besides others that it has, and who has to go for it."""
    pressure = (name for name in _PRESSURE if _is_on(node, name))
    situation = Situation(
        with_own_os(node),
        [*map(_as_kubelets_read, others)],
        pressure=tuple(pressure),
        declared_features=frozenset(node.status.declared_features),
    )
    return admit(_as_kubelets_read(pod), situation, _NOTHING_OF_ITS_OWN)


def _is_on(node: Node, condition: str) -> bool:
    found = node.condition(condition)
    return found is not None and found.status == "True"


def _as_kubelets_read(pod: Pod) -> KubeletPod:
    return msgspec.convert(as_json(pod), KubeletPod)
