"""One kubelet's signs of life: its Node, its lease every 10 s, its status every 5 min.

Matches kubelet 1.36 (reference 1.1 and 1.7).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec

from kubeberth.api.core import Node
from kubeberth.api.node_labels import closed_to_kubelet
from kubeberth.api.scheme import LEASES, NODES
from kubeberth.client.client import Client
from kubeberth.clock import Clock
from kubeberth.errors import (
    AlreadyExistsError,
    BerthError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
)
from kubeberth.kubelet.node_object import (
    LEASE_DURATION_S,
    LEASE_NAMESPACE,
    new_lease,
    new_node,
    renewed,
    status_patch,
)
from kubeberth.kubelet.sharing import remembered_node
from kubeberth.kubelet.specs import NodeSpec
from kubeberth.kubelet.stages import Dice

logger = logging.getLogger(__name__)

RENEW_PERIOD_S = LEASE_DURATION_S / 4
RENEW_JITTER = 0.04
# A beat that the server did not take is not missed for a whole period.
RETRY_PERIOD_S = 2.0
# Nor does it wait much for what else the node has to write, or for an answer that does not come:
# with several tries in each, a lease outlasts both.
PATIENCE_S = 2.0
BEAT_TIMEOUT_S = 10.0
STATUS_PERIOD_S = 300.0
# After a change the next periodic report moves by up to half a period, so that nodes that changed
# together do not report together for ever.
STATUS_SPREAD = 0.5
REGISTER_FIRST_S, REGISTER_LAST_S = 0.1, 7.0


class Heartbeat:
    """Registers a node and keeps it alive in the eyes of the cluster."""

    def __init__(self, spec: NodeSpec, client: Client, clock: Clock, dice: Dice) -> None:
        self._spec = spec
        self._client = client
        self._clock = clock
        self._dice = dice
        self._lease: bytes | None = None
        self._renewed_at: float | None = None
        self._status_at = 0.0
        self._is_late = False
        self.node: Node | None = None

    async def register(self) -> None:
        """Make the Node, or take over the one there is; tries until it succeeds."""
        delay_s = REGISTER_FIRST_S
        while True:
            try:
                await self._register_once()
                return
            except BerthError as error:
                logger.warning("node %s cannot register yet: %s", self._spec.name, error)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, REGISTER_LAST_S)

    async def _register_once(self) -> None:
        now = self._clock.now()
        try:
            self._adopt(await self._create(now))
        except (AlreadyExistsError, ForbiddenError):
            # Not allowed to create it does not mean that it is not there.
            await self.fetch()
            await self.post_status()
        else:
            self._plan_status(spread=True)

    async def _create(self, now: float) -> dict[str, Any]:
        """Create the Node; a server that lets no kubelet set some labels gets it without them."""
        node = new_node(self._spec, now)
        closed = closed_to_kubelet(self._spec.labels)
        try:
            return await self._client.create(NODES, node)
        except ForbiddenError:
            if not closed:
                raise
        logger.warning(
            "node %s registers without labels that only an administrator may set: %s",
            self._spec.name,
            ", ".join(closed),
        )
        for key in closed:
            del node["metadata"]["labels"][key]
        return await self._client.create(NODES, node)

    async def fetch(self) -> Node | None:
        """Read the Node from the API."""
        self._adopt(await self._client.get(NODES, self._spec.name))
        return self.node

    def _adopt(self, document: dict[str, Any]) -> None:
        self.node = remembered_node(msgspec.convert(document, Node), self._spec.labels)

    async def post_status(self) -> None:
        """Write the Node's status."""
        if self.node is None:
            await self.fetch()
        assert self.node is not None
        patch = status_patch(self._spec, self.node, self._clock.now())
        document = await self._client.patch(
            NODES, self._spec.name, patch, kind="strategic", sub="status"
        )
        self._adopt(document)
        self._plan_status(spread=False)

    def _plan_status(self, *, spread: bool) -> None:
        period = STATUS_PERIOD_S
        if spread:
            period = self._dice.spread(STATUS_PERIOD_S, STATUS_SPREAD)
        self._status_at = self._clock.monotonic() + period

    def next_beat_s(self) -> float:
        """Return how long to wait before the next beat."""
        period_s = RETRY_PERIOD_S if self._is_late else RENEW_PERIOD_S
        return self._dice.spread(period_s, RENEW_JITTER)

    async def beat(self) -> bool:
        """Renew the lease, and post the status when it is time, or when silence was noticed.

        Returns whether the API answered as it should.

        The cluster calls a node Unknown when its lease is overdue; only a new status takes that
        back, so whoever was away for that long posts one.
        """
        now = self._clock.monotonic()
        was_away = self._renewed_at is not None and now - self._renewed_at > LEASE_DURATION_S
        self._is_late = False
        try:
            async with asyncio.timeout(BEAT_TIMEOUT_S):
                await self._renew()
                if was_away or now >= self._status_at:
                    await self.fetch()
                    await self.post_status()
            self._renewed_at = now
            return True
        except NotFoundError:
            # Somebody deleted the Node; as upstream it comes back when its kubelet starts anew.
            self._renewed_at = now
            logger.info("node %s is gone from the API", self._spec.name)
        except TimeoutError:
            self._is_late = True
            logger.warning("node %s misses a heartbeat: no answer in time", self._spec.name)
        except BerthError as error:
            self._is_late = True
            logger.warning("node %s misses a heartbeat: %s", self._spec.name, error)
        return False

    async def _renew(self) -> None:
        now = self._clock.now()
        if self._lease is None:
            self._keep(await self._find_lease(now))
        assert self._lease is not None
        try:
            lease = renewed(msgspec.json.decode(self._lease), now)
            answer = await self._client.update(LEASES, lease, patience_s=PATIENCE_S)
            self._keep(answer)
        except (ConflictError, NotFoundError):
            self._lease = None
            raise

    def _keep(self, lease: dict[str, Any]) -> None:
        # Who sets what is the server's to know, and the larger part of it.
        lease["metadata"].pop("managedFields", None)
        # Of thousands of nodes, each waits most of the time: text is smaller than objects.
        self._lease = msgspec.json.encode(lease)

    async def _find_lease(self, now: float) -> dict[str, Any]:
        try:
            return await self._client.get(LEASES, self._spec.name, LEASE_NAMESPACE)
        except NotFoundError:
            uid = await self._node_uid()
            lease = new_lease(self._spec.name, uid, now)
            return await self._client.create(LEASES, lease, LEASE_NAMESPACE)

    async def _node_uid(self) -> str:
        """Return the UID of the Node there is now, or nothing."""
        try:
            node = await self.fetch()
        except NotFoundError:
            return ""
        return node.metadata.uid if node is not None else ""
