"""The shell around a reconciler: when it looks at a key again."""

import asyncio
from contextlib import asynccontextmanager

from tests.fake_api import FakeApi
from tests.objects import NOW

from kubeberth.api.scheme import CONFIG_MAPS, PODS, REPLICA_SETS
from kubeberth.client.recorder import EventRecorder
from kubeberth.clock import SystemClock
from kubeberth.controllers.action import CreateObject, ObjectRef, Outcome, PatchObject
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.controller import REST_SHARE, Controller
from kubeberth.controllers.executor import Executor
from kubeberth.controllers.reconciler import Reconciler
from kubeberth.errors import ServiceUnavailableError


class Clock:
    def __init__(self):
        self.at = 0.0

    def now(self):
        return NOW + self.at

    def monotonic(self):
        return self.at


class Slow(Reconciler):
    """Takes its time to decide that nothing is to be done."""

    name = account = "slow"
    seeds = ("big", "small")

    def __init__(self, clock, takes_s):
        self.clock = clock
        self.takes_s = takes_s
        self.looks = []

    def keys(self, cache, resource, old, new):
        return self.seeds

    def reconcile(self, cache, key, now, failure):
        self.looks.append(key)
        self.clock.at += self.takes_s[key]
        return Outcome()


def test_a_key_that_takes_long_to_decide_rests_and_looks_at_all_that_came_meanwhile_at_once():
    async def scenario():
        clock, api = Clock(), FakeApi()
        reconciler = Slow(clock, {"big": 0.02, "small": 0.0})
        recorder = EventRecorder(api.client(), "slow", clock)
        executor = Executor(api.client(), recorder)
        controller = Controller(
            reconciler, Cache(), executor, clock, revision_of=lambda resource: 0, workers=8
        )
        running = asyncio.create_task(controller.run())
        began_at = asyncio.get_running_loop().time()
        while reconciler.looks.count("big") < 2:
            controller.observe(PODS, None, None)
            await asyncio.sleep(0.001)
        rested_s = asyncio.get_running_loop().time() - began_at
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert rested_s >= REST_SHARE * 0.02
        assert reconciler.looks.count("small") > 5, "others do not wait for it"

    asyncio.run(scenario())


class Teller(Reconciler):
    """Writes a status whenever something changes, and makes a map as well when it is told to."""

    name = account = "teller"
    seeds = ("web",)
    only_reports = True

    def __init__(self):
        self.looks = 0
        self.makes = False
        self.failures = []

    def keys(self, cache, resource, old, new):
        return self.seeds

    def reconcile(self, cache, key, now, failure):
        self.looks += 1
        self.failures.append(failure)
        made = CreateObject(CONFIG_MAPS, {"metadata": {"name": f"map-{self.looks}"}}, "default")
        patch = {"status": {"replicas": self.looks}}
        told = PatchObject(ObjectRef(REPLICA_SETS, "web", "default"), patch, sub="status")
        return Outcome((told, made) if self.makes else (told,))


class SlowClient:
    """A client of an API server that takes its time for statuses."""

    def __init__(self, client, takes_s):
        self.client, self.takes_s, self.told, self.errors = client, takes_s, [], []

    async def patch(self, resource, name, change, namespace=None, **options):
        await asyncio.sleep(self.takes_s)
        if self.errors:
            raise self.errors.pop()
        self.told.append(change["status"]["replicas"])
        return {"metadata": {}}

    async def create(self, *arguments, **options):
        return await self.client.create(*arguments, **options)


@asynccontextmanager
async def telling(takes_s):
    """Run a controller that tells; a change is seen every few milliseconds."""
    api, clock, teller = FakeApi(), SystemClock(), Teller()
    client = SlowClient(api.client(), takes_s)
    executor = Executor(client, EventRecorder(client, "teller", clock))
    controller = Controller(
        teller, Cache(), executor, clock, revision_of=lambda resource: 0, workers=8
    )

    async def change():
        while True:
            controller.observe(PODS, None, None)
            await asyncio.sleep(0.002)

    tasks = [asyncio.create_task(controller.run()), asyncio.create_task(change())]
    try:
        yield api, teller, client
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_what_only_tells_waits_for_what_changes_meanwhile():
    async def scenario():
        async with telling(takes_s=0.02) as (_, teller, client):
            while len(client.told) < 3:
                await asyncio.sleep(0.001)
        assert teller.looks > 10 * len(client.told)
        assert client.told[-1] > client.told[-2] + 10, "the last state is told, not the next one"

    asyncio.run(scenario())


def test_what_is_to_be_done_is_done_at_once_and_told_with_it():
    async def scenario():
        async with telling(takes_s=0.02) as (api, teller, client):
            while not client.told:
                await asyncio.sleep(0.001)
            teller.makes = True
            looks = teller.looks
            while not api.objects[CONFIG_MAPS]:
                await asyncio.sleep(0.001)
            assert teller.looks <= looks + 3

    asyncio.run(scenario())


def test_a_status_that_is_remembered_by_is_written_at_once():
    async def scenario():
        async with telling(takes_s=0.02) as (_, teller, client):
            teller.only_reports = False
            while len(client.told) < 5:
                await asyncio.sleep(0.001)
        assert client.told == [1, 2, 3, 4, 5]

    asyncio.run(scenario())


def test_a_failure_is_told_of_at_once():
    async def scenario():
        async with telling(takes_s=0.02) as (_, teller, client):
            while not client.told:
                await asyncio.sleep(0.001)
            client.errors = [ServiceUnavailableError("not now")]
            while client.errors:
                await asyncio.sleep(0.001)
            failed_at, n_told = teller.looks, len(client.told)
            while len(client.told) == n_told:
                await asyncio.sleep(0.001)
            assert [f for f in teller.failures if f] == teller.failures[failed_at : failed_at + 1]
            assert client.told[n_told] == failed_at + 1

    asyncio.run(scenario())
