"""What a node gives its pods of its machine: on disk before the cluster hears of it, and published.

Verdict -> Allotment.holdings -> checkpoint (durable) -> pod status; annotation of the Node
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from kubeberth.api.scheme import NODES
from kubeberth.client.client import Client
from kubeberth.errors import BerthError, NotFoundError, UsageError
from kubeberth.kubelet.admission import Holdings, Verdict
from kubeberth.kubelet.checkpoints import Checkpoints
from kubeberth.kubelet.pod import KubeletPod
from kubeberth.kubelet.specs import NodeSpec
from kubeberth.topology.checkpoint import CheckpointError, to_json
from kubeberth.topology.configuration import POD_LEVEL_GATE, StartError
from kubeberth.topology.kept_state import KeptState
from kubeberth.topology.layout import Layout
from kubeberth.topology.managers import Allocations, Managers
from kubeberth.topology.names import ALLOCATIONS_ANNOTATION
from kubeberth.topology.publication import to_text

logger = logging.getLogger(__name__)

# The Node is written at most so often for what its pods are given.
PUBLISH_PAUSE_S = 0.5
# What all nodes hold whose machine is not described.
NOTHING_HELD = Holdings(Managers.idle(), Allocations())


class Allotment:
    """Keeps a node's holdings.

    Parameters
    ----------
    checkpoints
        None for a node that forgets when its process ends.

    Raises
    ------
    UsageError
        What was kept does not fit the node any more; the text says what to do.
    """

    def __init__(self, spec: NodeSpec, client: Client, checkpoints: Checkpoints | None) -> None:
        self._spec = spec
        self._client = client
        self._layout = spec.layout
        self._checkpoints = checkpoints if spec.layout is not None else None
        self._kept: Allocations | None = None
        self._pods: dict[str, str] = {}
        self._published = ""
        # Of a machine that nothing is known of, nothing is published.
        self._news = asyncio.Event() if spec.layout is not None else None
        self.holdings = self._started(spec.layout)

    def _started(self, layout: Layout | None) -> Holdings:
        if layout is None:
            return NOTHING_HELD
        try:
            managers, allocations = layout.start(self._load())
        except StartError as error:
            path = self._checkpoints.path(self._spec.name) if self._checkpoints else ""
            raise UsageError(
                f"{error.manager}: {error} (here it is {path}): drain the node, then delete it"
            ) from None
        return Holdings(managers, allocations, layout.configuration.has(POD_LEVEL_GATE))

    def _load(self) -> KeptState | None:
        """Return what was kept; what is damaged is set aside, and the node starts without it."""
        if self._checkpoints is None:
            return None
        try:
            return self._checkpoints.load(self._spec.name)
        except OSError as error:
            path = self._checkpoints.path(self._spec.name)
            raise UsageError(f"cannot read {path}: {error.strerror}") from None
        except CheckpointError as error:
            aside = self._checkpoints.set_aside(self._spec.name)
            logger.warning(
                "node %s: %s; it is now %s, and the node's pods are given CPUs, memory and "
                "devices anew",
                self._spec.name,
                error,
                aside,
            )
            return None

    @property
    def is_described(self) -> bool:
        """Whether anything is known of the machine that pods could be given."""
        return self._layout is not None

    @property
    def allowed_unsafe_sysctls(self) -> tuple[str, ...]:
        """What the node's configuration lets pods set."""
        return self._layout.configuration.allowed_unsafe_sysctls if self._layout else ()

    def take(self, pod: KubeletPod, verdict: Verdict) -> None:
        """Take over what became of a pod."""
        self.holdings = verdict.holdings
        if self._news is not None and verdict.refusal is None:
            self._pods[pod.metadata.uid] = pod.metadata.key
        self._note_news()

    def _note_news(self) -> None:
        if self._news is not None:
            self._news.set()

    def keep_only(self, uids: Collection[str]) -> None:
        """Take back what pods have that are no more."""
        for uid in self.holdings.allocations.pods() - set(uids):
            self.release(uid)

    def release(self, uid: str) -> None:
        """Take back what a pod has."""
        if uid in self.holdings.allocations.pods():
            self.holdings = self.holdings.without(uid)
        if self._pods.pop(uid, None) is not None:
            self._note_news()

    def note_started(self, pod: KubeletPod, container: str) -> None:
        """Note that a container has started: the init containers before it have ended."""
        if pod.metadata.uid in self.holdings.allocations.memory.blocks:
            self.holdings = self.holdings.once_started(pod, container)

    async def keep(self) -> None:
        """Return once what pods have now outlives this process.

        Raises
        ------
        UsageError
            It cannot be written.
        """
        allocations = self.holdings.allocations
        if self._layout is None or allocations is self._kept:
            return
        if self._checkpoints is not None:
            text = to_json(self._layout.kept(allocations))
            try:
                await asyncio.to_thread(self._checkpoints.save, self._spec.name, text)
            except OSError as error:
                path = self._checkpoints.path(self._spec.name)
                raise UsageError(f"cannot write {path}: {error.strerror}") from None
        self._kept = allocations

    async def publish(self) -> None:
        """Write what pods have to the Node, a while after each change, until cancelled."""
        if self._layout is None or self._news is None:
            return
        while True:
            await self._news.wait()
            self._news.clear()
            text = to_text(self._layout.kept(self.holdings.allocations), self._pods)
            try:
                await self._write(text)
            except NotFoundError:
                logger.info("node %s is gone from the API", self._spec.name)
            except BerthError as error:
                logger.warning("node %s cannot publish: %s", self._spec.name, error)
                self._news.set()
            await asyncio.sleep(PUBLISH_PAUSE_S)

    async def _write(self, text: str) -> None:
        if text == self._published:
            return
        patch = {"metadata": {"annotations": {ALLOCATIONS_ANNOTATION: text}}}
        await self._client.patch(NODES, self._spec.name, patch, kind="merge")
        self._published = text
