"""Makes the trails of requests, by a policy, to a log."""

from __future__ import annotations

import asyncio

from kubeberth.apiserver.audit.log import AuditLog
from kubeberth.apiserver.audit.policy import Policy
from kubeberth.apiserver.audit.trail import WrittenTrail
from kubeberth.apiserver.http.request import Request
from kubeberth.clock import Clock


class Auditor:
    """Writes down what is asked of a server."""

    def __init__(self, policy: Policy, log: AuditLog, clock: Clock) -> None:
        self._policy = policy
        self._log = log
        self._clock = clock

    async def trail(self, request: Request, audit_id: str) -> WrittenTrail:
        """Return the trail of a request, as soon as there is room to write it down."""
        if self._log.is_full:
            await asyncio.to_thread(self._log.wait)
        return WrittenTrail(request, audit_id, self._policy, self._log, self._clock)

    def close(self) -> None:
        """Write what is left."""
        self._log.close()
