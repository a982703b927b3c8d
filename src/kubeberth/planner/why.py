"""Why the pods of a plan are where they are: one pod, or all those of a workload."""

from __future__ import annotations

from kubeberth.api.core import Pod
from kubeberth.api.scheme import PODS
from kubeberth.placement.why import Why
from kubeberth.placement.why_now import why_now
from kubeberth.planner.workload_why import (
    WorkloadWhy,
    belongs_to,
    ended,
    kind_and_name,
    no_such_pod,
    why_workload,
)
from kubeberth.planner.world import World


def why_in_plan(world: World, namespace: str, target: str) -> Why | WorkloadWhy:
    """Return why a pod of a plan, or the pods of a workload, are where they are.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    kind, name = kind_and_name(target)
    there = [p for p in world.objects.all(PODS) if p.metadata.namespace == namespace]
    if kind == PODS.kind:
        found = [pod for pod in there if pod.metadata.name == name]
        if found:
            return _why(world, found[0])
        for gone in world.evictions.evicted:
            if gone.pod.metadata.key == f"{namespace}/{name}":
                node_name = gone.pod.spec.node_name
                return Why(gone.pod.metadata.key, "evicted", gone.message, node_name)
        raise no_such_pod(name, namespace, there)
    pods = [pod for pod in there if belongs_to(pod, kind, name) and not pod.is_terminal]
    waiting = {entry.pod.metadata.key: entry.message for entry in world.waiting}
    return why_workload(
        f"{kind}/{name}",
        pods,
        reason_of=lambda pod: waiting.get(pod.metadata.key, ""),
        why_of=lambda pod: _why(world, pod),
    )


def _why(world: World, pod: Pod) -> Why:
    if pod.is_terminal:
        return ended(pod)
    for entry in world.kubelets.waiting:
        if entry.pod.metadata.uid == pod.metadata.uid:
            message = f"no kubelet runs it: {entry.message}"
            return Why(pod.metadata.key, "placed", message, pod.spec.node_name)
    return why_now(world.placing.state, pod, world.placing.profile_of(pod))
