"""Equal parts of many pods, kept once.

The pods of a workload differ in little more than their names, and thousands of nodes that run tens
of thousands of them are one process.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from kubeberth.api.core import ContainerStatus
from kubeberth.api.meta import Condition
from kubeberth.kubelet.pod import KubeletPod

T = TypeVar("T")

# Who gets beyond it starts anew: then a few parts are kept twice.
MAX_PARTS = 20_000

_encode = msgspec.json.Encoder().encode


class Shared:
    """Parts by what they say; a part of one type only."""

    def __init__(self) -> None:
        self._parts: dict[bytes, object] = {}

    def __call__(self, part: T) -> T:
        """Return a part that says the same, the very one that others have."""
        key = _encode(part)
        known = self._parts.get(key)
        if known is not None:
            return known  # type: ignore[return-value]
        if len(self._parts) >= MAX_PARTS:
            self._parts.clear()
        self._parts[key] = part
        return part


_containers, _tolerations, _volumes = Shared(), Shared(), Shared()
_texts, _owners = Shared(), Shared()
_conditions, _statuses = Shared(), Shared()


def shared_condition(condition: Condition) -> Condition:
    """Return a condition that says the same."""
    return _conditions(condition)


def shared(pod: KubeletPod) -> KubeletPod:
    """Return a pod as a kubelet remembers it, its parts in common with those that it is like."""
    meta, spec, status = pod.metadata, pod.spec, pod.status
    replace = msgspec.structs.replace
    return replace(
        pod,
        metadata=replace(
            meta,
            labels=_texts(meta.labels),
            annotations=_texts(meta.annotations),
            owner_references=_owners(meta.owner_references),
        ),
        spec=replace(
            spec,
            containers=_containers(spec.containers),
            init_containers=_containers(spec.init_containers),
            tolerations=_tolerations(spec.tolerations),
            volumes=_volumes(spec.volumes),
        ),
        status=replace(
            status,
            host_ip="",
            pod_ips=(),
            conditions=tuple(map(_conditions, status.conditions)),
            container_statuses=tuple(map(_bare, status.container_statuses)),
        ),
    )


def _bare(status: ContainerStatus) -> ContainerStatus:
    """Return of a container's status what its kubelet could not tell by itself."""
    return _statuses(
        ContainerStatus(
            name=status.name,
            ready=status.ready,
            restart_count=status.restart_count,
            state=status.state,
            last_state=status.last_state,
        )
    )
