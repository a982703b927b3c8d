"""One pod on a node: its life, and how much of it the API has been told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from kubeberth.api.meta import Condition
from kubeberth.kubelet.pod import KubeletPod
from kubeberth.kubelet.pod_lifecycle import PodLife, Stage
from kubeberth.kubelet.pod_status import Addresses, to_status
from kubeberth.kubelet.timers import Alarm

Document = dict[str, Any]


@dataclass(slots=True)
class Worker:
    """The shell around one PodLife.

    Parameters
    ----------
    pod
        The newest version seen.
    shown
        The conditions that the API shows, by type.
    written
        The last status that the API took; None before the first.
    version
        The pod's resource version after that.
    """

    pod: KubeletPod
    life: PodLife
    ip: str = ""
    shown: dict[str, Condition] = field(default_factory=dict)
    alarms: set[Alarm] = field(default_factory=set)
    written: Document | None = None
    version: int = 0

    @classmethod
    def of(cls, pod: KubeletPod) -> Worker:
        """Return the worker of a pod that was not seen before."""
        shown = {condition.type: condition for condition in pod.status.conditions}
        return cls(pod, PodLife(pod), pod.status.pod_ip, shown)

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
        """Whether the pod has ended and is to go from the API as well."""
        return not self.is_active and self.pod.is_terminating

    def cancel(self) -> None:
        """Wait for nothing any more."""
        for alarm in self.alarms:
            alarm.cancel()
        self.alarms.clear()

    def status(self, host_ip: str, now: float) -> Document:
        """Return the status to show."""
        addresses = Addresses(host_ip, self.ip)
        return to_status(self.life, self.pod, addresses, self.shown, now)

    def note_written(self, status: Document, version: str) -> None:
        """Note that the API took a status."""
        self.written = status
        self.version = int(version) if version.isdecimal() else 0
        for entry in status.get("conditions", []):
            said = {key: value for key, value in entry.items() if value is not None}
            self.shown[entry["type"]] = msgspec.convert(said, Condition)

    def was_overruled(self) -> bool:
        """Return whether somebody wrote another status over the last one."""
        version = self.pod.metadata.resource_version
        if self.written is None or not version.isdecimal() or int(version) <= self.version:
            return False
        status = self.pod.status
        if status.phase != self.written["phase"]:
            return True
        by_type = {condition.type: condition.status for condition in status.conditions}
        return any(
            by_type.get(condition["type"]) != condition["status"]
            for condition in self.written.get("conditions", [])
        )

    def object_reference(self, container: str = "") -> dict[str, str]:
        """Return what events about the pod, or one of its containers, refer to."""
        meta = self.pod.metadata
        reference = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": meta.name,
            "namespace": meta.namespace,
            "uid": meta.uid,
        }
        if container:
            reference["fieldPath"] = f"spec.{self._list_of(container)}{{{container}}}"
        return reference

    def _list_of(self, container: str) -> str:
        spec = self.pod.spec
        for place, entries in (
            ("initContainers", spec.init_containers),
            ("ephemeralContainers", spec.ephemeral_containers),
        ):
            if any(entry.name == container for entry in entries):
                return place
        return "containers"
