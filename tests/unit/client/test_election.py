"""One seat, several candidates, a clock that the test moves."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from kubeberth.client.client import Client
from kubeberth.client.election import Election
from kubeberth.client.lease import Candidate, Terms
from kubeberth.client.mandate import LeadershipLostError
from kubeberth.errors import ConflictError, NotFoundError, TransportError

TERMS = Terms()
FAST = Terms(lease_s=0.5, renew_s=0.3, retry_s=0.05)


def lease(holder: str, version: str = "1", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "kube-scheduler", "resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, **spec},
    }


def test_a_seat_is_free_once_its_lease_has_stayed_the_same_for_its_duration():
    candidate = Candidate(TERMS, "b")
    candidate.see(lease("a"), 100.0)
    candidate.see(lease("a"), 114.0)
    assert not candidate.may_take(115.0)
    assert candidate.may_take(115.1)


def test_every_renewal_starts_the_wait_anew():
    candidate = Candidate(TERMS, "b")
    candidate.see(lease("a"), 100.0)
    candidate.see(lease("a", version="2"), 114.0)
    assert not candidate.may_take(120.0)


def test_what_time_the_lease_says_does_not_count():
    candidate = Candidate(TERMS, "b")
    candidate.see(lease("a", renewTime="2001-01-01T00:00:00.000000Z"), 100.0)
    assert not candidate.may_take(101.0)


def test_a_seat_that_was_given_up_is_free():
    candidate = Candidate(TERMS, "b")
    candidate.see(lease(""), 100.0)
    assert candidate.may_take(100.0)


def test_taking_over_is_a_transition_and_renewing_is_none():
    candidate = Candidate(TERMS, "b")
    candidate.see(lease("a", leaseTransitions=4, acquireTime="then"), 0.0)
    taken = candidate.claim("2001-09-09T01:46:40.000000Z")
    assert taken["spec"] == {
        "holderIdentity": "b",
        "leaseDurationSeconds": 15,
        "acquireTime": "2001-09-09T01:46:40.000000Z",
        "renewTime": "2001-09-09T01:46:40.000000Z",
        "leaseTransitions": 5,
    }
    taken["metadata"]["resourceVersion"] = "2"
    candidate.see(taken, 1.0)
    renewed = candidate.claim("2001-09-09T01:46:42.000000Z")["spec"]
    assert renewed["acquireTime"] == taken["spec"]["acquireTime"]
    assert renewed["renewTime"] == "2001-09-09T01:46:42.000000Z"
    assert renewed["leaseTransitions"] == 5


def test_the_first_lease_is_no_transition():
    assert Candidate(TERMS, "a").claim("now")["spec"]["leaseTransitions"] == 0


def test_giving_up_leaves_a_lease_of_nobody_that_lasts_a_second():
    candidate = Candidate(TERMS, "a")
    candidate.see(lease("a", leaseTransitions=3), 0.0)
    spec = candidate.release("now")["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("", 1)
    assert spec["leaseTransitions"] == 3


class Leases:
    """An API server that knows one lease; it can be made deaf."""

    def __init__(self) -> None:
        self.document: dict[str, Any] | None = None
        self.is_deaf = False
        self.hangs = False
        self._version = 0

    async def get(self, resource: Any, name: str, namespace: str) -> dict[str, Any]:
        await self._answer()
        if self.document is None:
            raise NotFoundError("no lease")
        return self.document

    async def create(self, resource: Any, body: dict[str, Any], *_: Any) -> dict[str, Any]:
        await self._answer()
        assert "resourceVersion" not in body["metadata"]
        if self.document is not None:
            raise ConflictError("there is one")
        return self._write(body)

    async def update(self, resource: Any, body: dict[str, Any]) -> dict[str, Any]:
        await self._answer()
        if self.document is None:
            raise NotFoundError("no lease")
        if body["metadata"]["resourceVersion"] != self.document["metadata"]["resourceVersion"]:
            raise ConflictError("it has changed")
        return self._write(body)

    @property
    def holder(self) -> str:
        assert self.document is not None
        return str(self.document["spec"]["holderIdentity"])

    def _write(self, body: dict[str, Any]) -> dict[str, Any]:
        self._version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self._version)}
        self.document = {**body, "metadata": metadata}
        return self.document

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.sleep(60)
        if self.is_deaf:
            raise TransportError("no answer")


class MonotonicClock:
    def now(self) -> float:
        return 1_000_000_000.0

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


def candidate(leases: Leases, identity: str, terms: Terms = FAST) -> Election:
    return Election(cast(Client, leases), terms, MonotonicClock(), identity=identity)


def test_of_two_that_start_together_one_wins():
    async def story() -> None:
        leases = Leases()
        elections = [candidate(leases, name) for name in ("a", "b")]
        wins = [asyncio.create_task(election.win()) for election in elections]
        await asyncio.wait(wins, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.1)
        assert sum(election.holds for election in elections) == 1
        for win in wins:
            win.cancel()

    asyncio.run(story())


def test_a_holder_that_renews_keeps_its_seat_and_one_that_dies_loses_it_to_the_next():
    async def story() -> None:
        leases = Leases()
        first, second = candidate(leases, "a"), candidate(leases, "b")
        await first.win()
        keeping = asyncio.create_task(first.keep())
        winning = asyncio.create_task(second.win())
        await asyncio.sleep(0.7)
        assert leases.holder == "a"
        keeping.cancel()
        # The lease says a second, the shortest that it can say.
        await asyncio.wait_for(winning, 2.0)
        assert leases.holder == "b"
        assert not first.holds

    asyncio.run(story())


@pytest.mark.parametrize("how", ["is_deaf", "hangs"])
def test_a_holder_that_hears_nothing_stops_before_anybody_else_may_begin(how):
    async def story() -> None:
        leases = Leases()
        election = candidate(leases, "a")
        await election.win()
        won_at = asyncio.get_running_loop().time()
        setattr(leases, how, True)
        with pytest.raises(LeadershipLostError, match="leaderelection lost"):
            await election.keep()
        assert not election.holds
        assert asyncio.get_running_loop().time() - won_at < FAST.lease_s

    asyncio.run(story())


def test_a_holder_whose_seat_was_taken_stops_at_once():
    async def story() -> None:
        leases = Leases()
        election = candidate(leases, "a")
        await election.win()
        leases._write(candidate(leases, "b")._candidate.claim("now"))
        with pytest.raises(LeadershipLostError):
            await asyncio.wait_for(election.keep(), FAST.retry_s * 2)
        assert not election.holds

    asyncio.run(story())


def test_a_lease_that_somebody_deletes_is_made_anew():
    async def story() -> None:
        leases = Leases()
        election = candidate(leases, "a")
        await election.win()
        keeping = asyncio.create_task(election.keep())
        leases.document = None
        await asyncio.sleep(FAST.retry_s * 3)
        assert leases.holder == "a"
        assert election.holds
        keeping.cancel()

    asyncio.run(story())


def test_a_seat_that_is_given_up_is_taken_without_waiting_for_the_lease_to_run_out():
    async def story() -> None:
        leases = Leases()
        slow = Terms(lease_s=60, renew_s=40, retry_s=0.05)
        first, second = candidate(leases, "a", slow), candidate(leases, "b", slow)
        await first.win()
        await first.release()
        assert not first.holds
        await asyncio.wait_for(second.win(), 1.0)
        assert leases.holder == "b"

    asyncio.run(story())
