"""Kubelets: those of a plan, for pods that come with a node and pass the scheduler by.

Rule 1: a node runs such a pod if it has what the pod needs; it asks what a kubelet asks.
Rule 2: a pod that it refuses has failed, for good.
Rule 3: a controller would make another one for it again and again: it is told beforehand.
Rule 4: a pod waits where there is no kubelet: its node is not there, or is not ready.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kubeberth.api.core import Node, Pod
from kubeberth.api.scheme import NODES, PODS, Resource
from kubeberth.errors import BerthError
from kubeberth.planner.absence import absence
from kubeberth.planner.objects import Objects
from kubeberth.planner.placing import Preempted, Waiting

if TYPE_CHECKING:
    from kubeberth.kubelet.admission import Verdict
    from kubeberth.topology.refusal import Refusal


class NoUseError(BerthError):
    """Pods for a node come to nothing there; says why."""


class Kubelets:
    """Runs pods that come with a node.

    Attributes
    ----------
    ran
        By UID, the key of each pod that runs by this.
    preempted
        Who had to go for critical pods, in order.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._due: dict[str, None] = {}
        self._waiting: dict[str, Waiting] = {}
        self.ran: dict[str, str] = {}
        self.preempted: list[Preempted] = []
        objects.follow(self._on_pod, (PODS,))

    @property
    def waiting(self) -> list[Waiting]:
        """The pods that do not run, and why: those that were refused have failed."""
        return list(self._waiting.values())

    def run(self) -> bool:
        """Take in every pod that has come; return whether anything came of it."""
        decided = [self._decide(key) for key in list(self._due)]
        return any(decided)

    def check(self, pod: Pod) -> None:
        """Look at a pod that a controller is about to make.

        Raises
        ------
        NoUseError
            It would fail, or be deleted, and the controller would make another one.
        """
        name = pod.spec.node_name
        if not name:
            return
        node: Node | None = self._objects.get(NODES, name)
        if node is None:
            raise NoUseError(f'there is no node "{name}": its pods are deleted again')
        refusal = _verdict(pod, node, self._on_node(name)).refusal
        if refusal is not None:
            raise NoUseError(f'node "{name}" lets such pods fail: {_told(refusal)}')

    def _decide(self, key: str) -> bool:
        """Run a pod, or have it fail; return False while it has to wait."""
        pod: Pod | None = self._objects.get(PODS, key)
        if pod is None:
            return False
        name = pod.spec.node_name
        node: Node | None = self._objects.get(NODES, name)
        why_not = absence(node, name)
        if node is None or why_not:
            self._wait(pod, why_not)
            return False
        others = [each for each in self._on_node(name) if each.metadata.key not in self._due]
        verdict = _verdict(pod, node, others)
        for each in verdict.victims:
            victim = next(other for other in others if other.metadata.uid == each.metadata.uid)
            self.preempted.append(Preempted(victim, pod))
            self._objects.preempt_on_node(victim.metadata.key)
        if verdict.refusal is None:
            self._objects.bind(key, name)
            self.ran[pod.metadata.uid] = key
        else:
            refusal = verdict.refusal
            self._objects.fail(key, refusal.reason, f"Pod was rejected: {refusal.message}")
            self._wait(pod, _told(refusal))
        return True

    def _wait(self, pod: Pod, why_not: str) -> None:
        self._waiting[pod.metadata.key] = Waiting(pod, 0, why_not_tried=why_not)

    def _on_node(self, node_name: str) -> list[Pod]:
        pods: Iterable[Pod] = self._objects.all(PODS)
        return [pod for pod in pods if pod.spec.node_name == node_name and not pod.is_terminal]

    def _on_pod(self, resource: Resource, old: Any, new: Any) -> None:
        key = (new or old).metadata.key
        if old is None and new.spec.node_name and new.status.phase == "Pending":
            self._due[key] = None
        elif new is None or new.status.phase != "Pending" or new.is_terminating:
            self._due.pop(key, None)
            self._waiting.pop(key, None)


def _verdict(pod: Pod, node: Node, others: Iterable[Pod]) -> Verdict:
    # Late: few pods come with a node, and a kubelet's mind is much code.
    from kubeberth.planner.node_verdict import verdict_on

    return verdict_on(pod, node, others)


def _told(refusal: Refusal) -> str:
    return f"{refusal.reason}: {refusal.message}"
