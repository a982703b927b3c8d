"""Pods to play with, and a player of their lives."""

from __future__ import annotations

from typing import Any

from tests.objects import NOW, pod

from kubeberth.kubelet.images import Images
from kubeberth.kubelet.pod import KubeletPod
from kubeberth.kubelet.pod_lifecycle import PodLife
from kubeberth.kubelet.scripts import NO_SCRIPTS, Scripts
from kubeberth.kubelet.transitions import Effects, Notice, Timer


def containers(*names: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"name": name, "image": "nginx", **fields} for name in names]


def make(
    policy: str = "Always",
    apps: list[dict[str, Any]] | None = None,
    inits: list[dict[str, Any]] | None = None,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> KubeletPod:
    spec = {"restartPolicy": policy, "containers": apps or containers("c"), **spec}
    if inits:
        spec["initContainers"] = inits
    return pod(phase="Pending", spec=spec, annotations=annotations)


class Player:
    """Plays a life on: every timer comes back in the order in which it is due."""

    def __init__(
        self, p: KubeletPod, scripts: Scripts = NO_SCRIPTS, images: Images | None = None
    ) -> None:
        self.life = PodLife(p, scripts, images or Images(("nginx", "x")))
        self.now = NOW
        self.timers: list[tuple[float, Timer]] = []
        self.notices: list[Notice] = []
        self.log: list[tuple[str, str]] = []

    def take(self, effects: Effects) -> None:
        self.life.check_invariants()
        self.notices += effects.notices
        self.timers += [(self.now + timer.extra_s, timer) for timer in effects.timers]

    def admit(self) -> Player:
        self.take(self.life.admitted(self.now))
        return self

    def step(self) -> None:
        due = min(self.timers, key=lambda entry: entry[0])
        self.timers.remove(due)
        at, timer = due
        self.now = max(self.now, at)
        self.log.append((timer.stimulus.name, timer.container))
        self.take(self.life.tell(timer, self.now))

    def run(self, steps: int = 50, until: float = float("inf")) -> Player:
        while self.timers and steps and min(at for at, _ in self.timers) <= until:
            self.step()
            steps -= 1
        return self

    def reasons(self) -> list[str]:
        return [notice.reason for notice in self.notices]
