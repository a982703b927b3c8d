"""Pods as they come and go: bound, pending again, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from kubeberth.api.core import Pod, PodStatus

_MIRROR = "kubernetes.io/config.mirror"
# Sorts after every timestamp: who does not say when it was created has just been.
_JUST_NOW = "~"


def to_pod(document: dict[str, Any]) -> Pod:
    """Return the pod that is stored as a document."""
    return msgspec.convert(document, Pod)


def bound_to(pod: Pod, node_name: str) -> Pod:
    """Return a pod as it looks once it is bound to a node."""
    if pod.spec.node_name == node_name:
        return pod
    spec = msgspec.structs.replace(pod.spec, node_name=node_name)
    return msgspec.structs.replace(pod, spec=spec)


def recreated(pod: Pod) -> Pod:
    """Return the pod that a controller makes in the place of one that is gone."""
    meta = msgspec.structs.replace(
        pod.metadata, deletion_timestamp=None, deletion_grace_period_seconds=None
    )
    spec = msgspec.structs.replace(pod.spec, node_name="")
    return msgspec.structs.replace(pod, metadata=meta, spec=spec, status=PodStatus())


def belongs_to_node(pod: Pod) -> bool:
    """Return whether a pod is there for its node's sake: a daemon's, or the kubelet's own."""
    owner = pod.metadata.controller
    return (owner is not None and owner.kind == "DaemonSet") or _MIRROR in pod.metadata.annotations


def in_queue_order(pods: Iterable[Pod]) -> list[Pod]:
    """Return pods in the order in which a scheduler tries them: by priority, then by age."""
    return sorted(
        pods, key=lambda pod: (-pod.priority, pod.metadata.creation_timestamp or _JUST_NOW)
    )
