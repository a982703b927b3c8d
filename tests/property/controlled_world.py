"""A world in which one controller's decisions come true, as far as it lives to carry them out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
from msgspec.structs import replace
from tests.objects import NOW, condition

from kubeberth.api.core import Pod
from kubeberth.api.scheme import CONTROLLER_REVISIONS, PODS
from kubeberth.api.workloads import ControllerRevision
from kubeberth.clock import rfc3339
from kubeberth.controllers.action import (
    Action,
    CreateObject,
    CreatePods,
    DeleteObject,
    DeletePods,
    InBatches,
    ObjectRef,
    PatchObject,
    Together,
    Told,
)
from kubeberth.controllers.workloads.daemon_pods import target_of


def steps_of(actions: tuple[Action, ...]) -> Iterator[Action]:
    """Yield single writes, in the order in which they are done."""
    for action in actions:
        match action:
            case Told() | Together():
                yield from steps_of(action.actions)
            case InBatches():
                yield from (step for group in action.groups for step in steps_of(group))
            case CreatePods():
                yield from (CreateObject(PODS, body) for body in action.bodies)
            case DeletePods():
                yield from map(DeleteObject, action.pods)
            case _:
                yield action


class World:
    """One owner with its pods and revisions, and the time.

    Attributes
    ----------
    now
        Seconds since 1970; a second passes with every write.
    """

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.pods: dict[str, Pod] = {}
        self.revisions: dict[str, ControllerRevision] = {}
        self.now = NOW
        self._numbers = count(1)

    def edit(self, **spec: Any) -> None:
        """Change the owner's spec."""
        meta = replace(self.owner.metadata, generation=self.owner.metadata.generation + 1)
        self.owner = replace(self.owner, metadata=meta, spec=replace(self.owner.spec, **spec))

    def carry_out(self, step: Action) -> None:
        """Let one write come true."""
        self.now += 1
        match step:
            case CreateObject():
                self._create(step)
            case DeleteObject() if step.target.resource == PODS:
                self.ask_to_go(step.target.name)
            case DeleteObject():
                del self.revisions[step.target.name]
            case PatchObject():
                self._patch(step.target, step)

    def _create(self, step: CreateObject) -> None:
        number = next(self._numbers)
        meta = {
            "uid": f"uid-{number}",
            "creationTimestamp": rfc3339(self.now),
            **step.body["metadata"],
        }
        meta.setdefault("name", f"{meta.get('generateName', '')}{number:05}")
        body = {**step.body, "metadata": meta}
        if step.resource == PODS:
            assert meta["name"] not in self.pods, "a name was taken"
            pod = {**body, "status": {"phase": "Pending"}}
            self.pods[meta["name"]] = msgspec.convert(pod, Pod)
        elif step.resource == CONTROLLER_REVISIONS:
            assert meta["name"] not in self.revisions, "a name was taken"
            self.revisions[meta["name"]] = msgspec.convert(body, ControllerRevision)

    def _patch(self, target: ObjectRef, step: PatchObject) -> None:
        if step.sub == "status":
            known = {key: value for key, value in step.patch["status"].items() if value is not None}
            status = msgspec.convert(known, type(self.owner.status))
            self.owner = replace(self.owner, status=status)
        elif target.resource == CONTROLLER_REVISIONS:
            revision = self.revisions[target.name]
            self.revisions[target.name] = replace(revision, **step.patch)

    def ask_to_go(self, name: str) -> None:
        """Delete a pod gracefully, or at once when it is nowhere yet."""
        pod = self.pods[name]
        if pod.spec.node_name:
            meta = replace(pod.metadata, deletion_timestamp=rfc3339(self.now))
            self.pods[name] = replace(pod, metadata=meta)
        else:
            del self.pods[name]

    def run(self, name: str, *, ready: bool = True) -> None:
        """Let a pod run on its node; one that has ended stays as it is."""
        pod = self.pods[name]
        if pod.is_terminal:
            return
        conditions = [condition("Ready", "True" if ready else "False", self.now)]
        status = {"phase": "Running", "conditions": conditions}
        spec = replace(pod.spec, node_name=target_of(pod) or "n1")
        self.pods[name] = replace(pod, spec=spec, status=msgspec.convert(status, type(pod.status)))

    def fail(self, name: str) -> None:
        """Let a pod fail."""
        pod = self.pods[name]
        self.pods[name] = replace(pod, status=replace(pod.status, phase="Failed"))

    def repeat(self, name: str) -> None:
        """Make a pod twice, as when nobody heard that it was made."""
        pod = self.pods[name]
        twin = f"{name}-{next(self._numbers)}"
        meta = replace(pod.metadata, name=twin, uid=f"uid-{twin}")
        self.pods[twin] = replace(pod, metadata=meta)

    @property
    def newest_revision(self) -> str:
        """Name of the revision with the highest number."""
        return max(self.revisions.values(), key=lambda r: r.revision).metadata.name

    def settle(self) -> None:
        """Let everything that is on its way arrive."""
        for name, pod in list(self.pods.items()):
            if pod.is_terminating:
                del self.pods[name]
            elif not pod.is_terminal:
                self.run(name)


def is_serving(pod: Pod) -> bool:
    """Return whether a pod runs, is ready and stays."""
    ready = pod.condition("Ready")
    is_ready = ready is not None and ready.status == "True"
    return pod.status.phase == "Running" and is_ready and not pod.is_terminating
