"""Pods as a kubelet reads them: what everyone reads, and probes and readiness gates."""

from __future__ import annotations

import msgspec

from kubeberth.api.core import Container, Pod, PodSpec
from kubeberth.api.meta import ApiStruct
from kubeberth.api.pod_references import MIRROR
from kubeberth.api.priority import SYSTEM_PRIORITIES

CONFIG_SOURCE = "kubernetes.io/config.source"
SYSTEM_CRITICAL = SYSTEM_PRIORITIES["system-cluster-critical"]


class HttpGet(ApiStruct, frozen=True):
    """That a container is asked by HTTP; nobody looks at where."""


class Probe(ApiStruct, frozen=True):
    """When a container is asked how it is."""

    initial_delay_seconds: int = 0
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    http_get: HttpGet | None = None

    @property
    def failure(self) -> str:
        """What a probe that fails tells."""
        return "HTTP probe failed with statuscode: 503" if self.http_get else ""


class KubeletContainer(Container, frozen=True):
    """A container with its probes, and how it gets its image."""

    image_pull_policy: str = ""
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    liveness_probe: Probe | None = None


class PodReadinessGate(ApiStruct, frozen=True):
    """A condition that others set, without which the pod is not ready."""

    condition_type: str = ""


class PodOS(ApiStruct, frozen=True):
    """The operating system that a pod is made for."""

    name: str = ""


class Sysctl(ApiStruct, frozen=True):
    """A kernel parameter to set."""

    name: str = ""


class PodSecurityContext(ApiStruct, frozen=True):
    """What a kubelet checks of a pod's security context."""

    supplemental_groups_policy: str | None = None
    sysctls: tuple[Sysctl, ...] = ()


class KubeletPodSpec(PodSpec, frozen=True):
    """What a pod wants."""

    containers: tuple[KubeletContainer, ...] = ()
    init_containers: tuple[KubeletContainer, ...] = ()
    ephemeral_containers: tuple[KubeletContainer, ...] = ()
    readiness_gates: tuple[PodReadinessGate, ...] = ()
    os: PodOS | None = None
    host_ipc: bool = msgspec.field(default=False, name="hostIPC")
    security_context: PodSecurityContext | None = None


class KubeletPod(Pod, frozen=True):
    """A pod."""

    spec: KubeletPodSpec = KubeletPodSpec()

    @property
    def is_static(self) -> bool:
        """Whether the kubelet did not get it from the API server."""
        return self.metadata.annotations.get(CONFIG_SOURCE, "api") != "api"

    @property
    def is_critical(self) -> bool:
        """Whether a node must run it before all others."""
        return (
            self.is_static
            or MIRROR in self.metadata.annotations
            or (self.spec.priority or 0) >= SYSTEM_CRITICAL
        )


decode_kubelet_pod = msgspec.json.Decoder(KubeletPod).decode
