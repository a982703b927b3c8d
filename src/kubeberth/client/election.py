"""Leader election by Lease: of several processes, one works at a time.

    win      try until the seat is ours
    keep     renew it for as long as that works
    release  give it up, so that the next one need not wait

`Candidate` decides, this asks the API server.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import socket
import uuid

from kubeberth.api.meta import ObjectReference
from kubeberth.api.scheme import LEASES
from kubeberth.client.client import Client
from kubeberth.client.lease import Candidate, Document, Terms
from kubeberth.client.mandate import LeadershipLostError
from kubeberth.client.recorder import EventRecorder
from kubeberth.clock import Clock, rfc3339_micro
from kubeberth.errors import ApiError, BerthError, NotFoundError

logger = logging.getLogger(__name__)

# As client-go: candidates that started together do not ask together for ever.
JITTER = 1.2
# A process that was told to end does not wait for longer than this to give up its seat.
RELEASE_S = 2.0


class Election:
    """The mandate of one of several processes.

    Invariant: while `holds`, no other process that goes by the same lease works. Others count from
    when they see a renewal, this counts from before it was sent, and for a shorter time.

    Parameters
    ----------
    recorder
        Where to tell that the seat was won, if it is to be told.
    """

    def __init__(
        self,
        client: Client,
        terms: Terms,
        clock: Clock,
        *,
        identity: str = "",
        recorder: EventRecorder | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._candidate = Candidate(terms, identity or unique_identity())
        self._until = -math.inf

    @property
    def terms(self) -> Terms:
        """Of which lease, and how it is held."""
        return self._candidate.terms

    @property
    def identity(self) -> str:
        """Under which name this process is a candidate."""
        return self._candidate.identity

    @property
    def holder(self) -> str:
        """Who has the seat, as far as is known."""
        return self._candidate.holder

    @property
    def holds(self) -> bool:
        """Whether the seat is ours, and was renewed recently enough to be sure of that."""
        return self._clock.monotonic() < self._until

    @property
    def is_overdue(self) -> bool:
        """Whether the seat was ours, and was not renewed in time."""
        return self._candidate.is_holder and not self.holds

    async def win(self) -> None:
        """Try until the seat is ours."""
        terms = self.terms
        logger.info("attempting to acquire leader lease %s...", terms.key)
        known = ""
        while not await self._try():
            if self.holder != known:
                known = self.holder
                logger.info("new leader elected: %s", known or "nobody yet")
            await asyncio.sleep(terms.retry_s * (1 + random.random() * JITTER))
        logger.info("successfully acquired lease %s", terms.key)
        if self._recorder is not None:
            about = ObjectReference(
                api_version=LEASES.api_version,
                kind=LEASES.kind,
                namespace=terms.namespace,
                name=terms.name,
            )
            self._recorder.record(
                about, "Normal", "LeaderElection", f"{self.identity} became leader"
            )

    async def keep(self) -> None:
        """Renew the seat until cancelled."""
        while True:
            left_s = self._until - self._clock.monotonic()
            await asyncio.sleep(max(0.0, min(self.terms.retry_s, left_s)))
            # When the time is over, an answer that is still to come makes no difference.
            is_renewed = self.holds and await self._try()
            if not self.holds or not (is_renewed or self._candidate.is_holder):
                self._until = -math.inf
                raise LeadershipLostError(f"leaderelection lost: {self.terms.key}")

    async def release(self) -> None:
        """Give the seat up, if it is ours."""
        is_ours, self._until = self.holds, -math.inf
        if not is_ours:
            return
        try:
            async with asyncio.timeout(RELEASE_S):
                lease = self._candidate.release(self._now())
                await self._client.update(LEASES, lease)
        except (BerthError, TimeoutError) as error:
            logger.info("could not release lease %s: %s", self.terms.key, error)

    async def _try(self) -> bool:
        """Claim the seat or renew it, once; return whether that worked."""
        began_at = self._clock.monotonic()
        patience_s = self._until - began_at if self.holds else self.terms.renew_s
        try:
            async with asyncio.timeout(patience_s):
                return await self._claim(began_at)
        except TimeoutError:
            return False
        except BerthError as error:
            logger.info("could not claim lease %s: %s", self.terms.key, error)
            return False

    async def _claim(self, began_at: float) -> bool:
        """Claim the seat; a holder who knows the lease need not read it first."""
        candidate, terms = self._candidate, self.terms
        if self.holds:
            try:
                await self._write(began_at)
            except ApiError as error:
                logger.info("could not renew lease %s: %s", terms.key, error)
            else:
                return True
        try:
            found = await self._client.get(LEASES, terms.name, terms.namespace)
        except NotFoundError:
            candidate.see_none()
            lease = candidate.claim(self._now())
            self._won(await self._client.create(LEASES, lease), began_at)
            return True
        candidate.see(found, self._clock.monotonic())
        if not candidate.may_take(self._clock.monotonic()):
            return False
        await self._write(began_at)
        return True

    def _now(self) -> str:
        return rfc3339_micro(self._clock.now())

    async def _write(self, began_at: float) -> None:
        lease = self._candidate.claim(self._now())
        self._won(await self._client.update(LEASES, lease), began_at)

    def _won(self, lease: Document, began_at: float) -> None:
        self._candidate.see(lease, self._clock.monotonic())
        self._until = began_at + self.terms.renew_s


def unique_identity() -> str:
    """Return the name of this process among candidates, as client-go makes it."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"
