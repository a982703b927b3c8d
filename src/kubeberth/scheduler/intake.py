"""Intake: pods as the scheduler keeps them, tens of thousands at a time. Pure.

What nothing places by is left out (addresses, most conditions, what containers are doing), and
parts that are equal are one object: pods of one template differ in little but their names. A pod of
2 KiB JSON takes 1 KiB instead of 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import TypeVar

import msgspec

from kubeberth.api.core import ContainerStatus, Pod, PodSpec, PodStatus, decode_pod
from kubeberth.api.disruption_target import DISRUPTION_TARGET
from kubeberth.api.meta import Condition, ObjectMeta
from kubeberth.api.volumes import Volume

T = TypeVar("T")

# Parts that are kept to be compared with; pods that are all different must not fill the memory.
MAX_SHARED = 20_000

_encode = msgspec.json.Encoder().encode
_replace = msgspec.structs.replace


class PodIntake:
    """Decodes pods."""

    def __init__(self, max_shared: int = MAX_SHARED) -> None:
        self._max_shared = max_shared
        self._shared: dict[tuple[str, bytes], object] = {}

    def decode(self, raw: bytes) -> Pod:
        """Return the pod in a JSON text.

        Raises
        ------
        msgspec.ValidationError
            It has not the shape of a pod.
        """
        pod = decode_pod(raw)
        return Pod(
            metadata=self._metadata(pod.metadata),
            spec=self._spec(pod.spec),
            status=self._status(pod.status),
        )

    def _metadata(self, meta: ObjectMeta) -> ObjectMeta:
        share = self._share
        return _replace(
            meta,
            namespace=intern(meta.namespace),
            creation_timestamp=_interned(meta.creation_timestamp),
            labels=share("labels", meta.labels),
            annotations=share("annotations", meta.annotations),
            owner_references=share("owners", meta.owner_references),
            finalizers=share("finalizers", meta.finalizers),
        )

    def _spec(self, spec: PodSpec) -> PodSpec:
        share = self._share
        return _replace(
            spec,
            node_name=intern(spec.node_name),
            scheduler_name=intern(spec.scheduler_name),
            containers=share("containers", spec.containers),
            init_containers=share("initContainers", spec.init_containers),
            node_selector=share("nodeSelector", spec.node_selector),
            affinity=share("affinity", spec.affinity),
            tolerations=share("tolerations", spec.tolerations),
            topology_spread_constraints=share("spread", spec.topology_spread_constraints),
            # Most have but a name that was drawn, and a source that is nowhere in particular.
            volumes=share("volumes", tuple(v for v in spec.volumes if v != Volume(name=v.name))),
        )

    def _status(self, status: PodStatus) -> PodStatus:
        return PodStatus(
            phase=intern(status.phase),
            conditions=tuple(entry for entry in status.conditions if _matters(entry)),
            nominated_node_name=status.nominated_node_name,
            start_time=_interned(status.start_time),
            container_statuses=self._resources("containers'", status.container_statuses),
            init_container_statuses=self._resources("inits'", status.init_container_statuses),
            resources=self._share("resources", status.resources),
            allocated_resources=self._share("allocated", status.allocated_resources),
        )

    def _resources(
        self, field: str, statuses: tuple[ContainerStatus, ...]
    ) -> tuple[ContainerStatus, ...]:
        """Return what containers were given, which may be more or less than they ask for."""
        given = tuple(
            ContainerStatus(
                name=entry.name,
                resources=entry.resources,
                allocated_resources=entry.allocated_resources,
            )
            for entry in statuses
            if entry.resources is not None or entry.allocated_resources
        )
        return self._share(field, given)

    def _share(self, field: str, part: T) -> T:
        """Return an equal part of another pod if there is one."""
        if part is None or (isinstance(part, tuple | Mapping) and not part):
            return part
        key = field, _encode(part)
        kept = self._shared.get(key)
        if kept is not None:
            return kept  # type: ignore[return-value]
        if len(self._shared) >= self._max_shared:
            self._shared.clear()
        self._shared[key] = part
        return part


def _matters(condition: Condition) -> bool:
    """Return whether a condition says why a pod has no node yet, or that it has to make room."""
    if condition.type == "PodScheduled":
        return condition.status != "True"
    return condition.type == DISRUPTION_TARGET


def _interned(text: str | None) -> str | None:
    return None if text is None else intern(text)
