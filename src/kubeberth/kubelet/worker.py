"""One pod on a node: its life, and how much of it the API has been told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from kubeberth.api.meta import Condition, ObjectReference
from kubeberth.kubelet.images import Images
from kubeberth.kubelet.pod import KubeletPod
from kubeberth.kubelet.pod_lifecycle import PodLife
from kubeberth.kubelet.pod_status import Addresses, to_patch, to_status
from kubeberth.kubelet.scripts import NO_SCRIPTS, Scripts
from kubeberth.kubelet.sharing import shared_conditions
from kubeberth.kubelet.timers import Alarm
from kubeberth.kubelet.transitions import Stage

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """What is remembered of the last status that the API took.

    Parameters
    ----------
    digest
        Of all of it.
    types
        The conditions that it had.
    version
        The pod's resource version after that.
    """

    digest: bytes
    phase: str
    types: tuple[str, ...]
    version: int


@dataclass(slots=True)
class Worker:
    """The shell around one PodLife.

    Parameters
    ----------
    pod
        The newest version seen.
    shown
        The conditions that the API shows.
    written
        None before the first status.
    is_removed
        Whether the API has been told to let go of the pod.
    """

    pod: KubeletPod
    life: PodLife
    ip: str = ""
    shown: tuple[Condition, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    written: Written | None = None
    is_removed: bool = False

    @classmethod
    def of(
        cls, pod: KubeletPod, scripts: Scripts = NO_SCRIPTS, images: Images | None = None
    ) -> Worker:
        """Return the worker of a pod that was not seen before, on a node with these images."""
        return cls(pod, PodLife(pod, scripts, images), pod.status.pod_ip, pod.status.conditions)

    @property
    def is_active(self) -> bool:
        """Whether something of the pod runs, or will."""
        return self.life.stage is not Stage.ENDED

    @property
    def counts(self) -> bool:
        """Whether others have to do without what the pod takes."""
        return self.is_active and not self.life.is_preempted

    @property
    def is_over(self) -> bool:
        """Whether the pod has ended and is yet to go from the API as well."""
        return not self.is_active and self.pod.is_terminating and not self.is_removed

    def cancel(self) -> None:
        """Wait for nothing any more."""
        for alarm in self.alarms:
            alarm.cancel()
        self.alarms = ()

    def status(self, host_ip: str, now: float) -> Document:
        """Return the status to show."""
        addresses = Addresses(host_ip, self.ip)
        return to_status(self.life, self.pod, addresses, self._shown_by_type(), now)

    def patch(self, status: Document) -> Document:
        """Return the patch that makes the API show a status."""
        meta = {"uid": self.pod.metadata.uid}
        return {"metadata": meta, "status": to_patch(status, self._shown_by_type())}

    def _shown_by_type(self) -> dict[str, Condition]:
        return {condition.type: condition for condition in self.shown}

    def has_written(self, status: Document) -> bool:
        """Return whether a status is the one that the API took last."""
        return self.written is not None and self.written.digest == _digest(status)

    def note_written(self, status: Document, version: str) -> None:
        """Note that the API took a status."""
        entries = status.get("conditions", [])
        shown = self._shown_by_type()
        shown |= {entry["type"]: _condition(entry) for entry in entries}
        self.shown = shared_conditions(tuple(shown.values()))
        self.written = Written(
            _digest(status),
            status["phase"],
            _shared_types(tuple(entry["type"] for entry in entries)),
            int(version) if version.isdecimal() else 0,
        )

    def was_overruled(self) -> bool:
        """Return whether somebody wrote another status over the last one."""
        version, written = self.pod.metadata.resource_version, self.written
        if written is None or not version.isdecimal() or int(version) <= written.version:
            return False
        if self.pod.status.phase != written.phase:
            return True
        by_type = {condition.type: condition.status for condition in self.pod.status.conditions}
        return any(
            by_type.get(condition.type) != condition.status
            for condition in self.shown
            if condition.type in written.types
        )

    def object_reference(self, container: str = "") -> ObjectReference:
        """Return what events about the pod, or one of its containers, refer to."""
        meta = self.pod.metadata
        return ObjectReference(
            api_version="v1",
            kind="Pod",
            name=meta.name,
            namespace=meta.namespace,
            uid=meta.uid,
            field_path=_field_path(self._list_of(container), container) if container else "",
        )

    def _list_of(self, container: str) -> str:
        spec = self.pod.spec
        for place, entries in (
            ("initContainers", spec.init_containers),
            ("ephemeralContainers", spec.ephemeral_containers),
        ):
            if any(entry.name == container for entry in entries):
                return place
        return "containers"


def _condition(entry: Mapping[str, Any]) -> Condition:
    return msgspec.convert(entry, Condition)


@lru_cache(1024)
def _field_path(place: str, container: str) -> str:
    return f"spec.{place}{{{container}}}"


@lru_cache(64)
def _shared_types(types: tuple[str, ...]) -> tuple[str, ...]:
    return types


def _digest(status: Document) -> bytes:
    return blake2b(msgspec.json.encode(status), digest_size=16).digest()
