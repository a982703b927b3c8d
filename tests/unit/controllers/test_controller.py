"""The shell around a reconciler: when it looks at a key again."""

import asyncio
from contextlib import asynccontextmanager

from tests.fake_api import FakeApi, FakeClient
from tests.objects import NOW
from tests.virtual_time import STARTED_AT, VirtualClock, VirtualLoop

from kubeberth.api.scheme import CONFIG_MAPS, PODS, REPLICA_SETS, SECRETS
from kubeberth.api.workloads import decode_replica_set
from kubeberth.client.informer import Informer
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
    """Writes a status whenever something changes, and makes a map as well when it is told to.

    Other keys make secrets, which takes for ever.
    """

    name = account = "teller"
    only_reports = True

    def __init__(self, n_others):
        self.seeds = ("web", *(f"other-{number}" for number in range(n_others)))
        self.looks = 0
        self.makes = False
        self.failures = []

    def keys(self, cache, resource, old, new):
        return ["web"]

    def reconcile(self, cache, key, now, failure):
        if key != "web":
            return Outcome((CreateObject(SECRETS, {"metadata": {"name": key}}, "default"),))
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

    async def create(self, resource, *arguments):
        if resource == SECRETS:
            await asyncio.Event().wait()
        return await self.client.create(resource, *arguments)


@asynccontextmanager
async def telling(takes_s, n_others=7):
    """Run a controller that tells; a change is seen every few milliseconds."""
    api, clock, teller = FakeApi(), SystemClock(), Teller(n_others)
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


def test_who_is_alone_tells_of_each_change():
    async def scenario():
        async with telling(takes_s=0.02, n_others=0) as (_, _, client):
            while len(client.told) < 5:
                await asyncio.sleep(0.001)
        assert client.told == [1, 2, 3, 4, 5]

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
            n_told = len(client.told)
            while len(client.told) < n_told + 2:
                await asyncio.sleep(0.001)
        [failed] = [look for look, failure in enumerate(teller.failures, 1) if failure]
        assert failed in client.told

    asyncio.run(scenario())


class Setter(Reconciler):
    """Sets how many replicas there are, one more at each look, and waits for nothing itself."""

    name = account = "setter"
    resource = REPLICA_SETS

    def __init__(self, n_writes):
        self.n_writes = n_writes
        self.looked_at = []

    def reconcile(self, cache, key, now, failure):
        seen = cache.get(REPLICA_SETS, key)
        self.looked_at.append((now - STARTED_AT, seen.spec.replicas))
        if len(self.looked_at) > self.n_writes:
            return Outcome()
        patch = {"spec": {"replicas": seen.spec.replicas + 1}}
        return Outcome((PatchObject(ObjectRef(REPLICA_SETS, "web", "default"), patch),))


class Distant(FakeClient):
    """A client to which answers, or the news, come late."""

    def __init__(self, api, answer_s, news_s):
        super().__init__(api)
        self.answer_s, self.news_s = answer_s, news_s

    async def patch(self, *arguments, **options):
        answer = await super().patch(*arguments, **options)
        await asyncio.sleep(self.answer_s)
        return answer

    async def watch(self, *arguments, **options):
        async for event in super().watch(*arguments, **options):
            await asyncio.sleep(self.news_s)
            yield event


def looks_at(client, n_writes=2):
    """Run a controller that writes so many times; return when it looked, and what it saw."""

    async def scenario():
        clock, cache, setter = VirtualClock(), Cache(), Setter(n_writes)
        client.api.put(REPLICA_SETS, {"metadata": {"name": "web"}, "spec": {"replicas": 0}})
        informer = Informer(client, REPLICA_SETS, decode_replica_set)
        controller = Controller(
            setter,
            cache,
            Executor(client, EventRecorder(client, "setter", clock)),
            clock,
            revision_of=lambda _: informer.revision,
            workers=1,
        )

        def listen(change):
            cache.apply(REPLICA_SETS, change.old, change.new)
            controller.observe(REPLICA_SETS, change.old, change.new)

        informer.subscribe(listen)
        following = asyncio.create_task(informer.run())
        await informer.synced.wait()
        running = asyncio.create_task(controller.run())
        await asyncio.sleep(60)
        for task in (running, following):
            task.cancel()
        await asyncio.gather(running, following, return_exceptions=True)
        return setter.looked_at

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario())


def test_who_hears_of_its_write_before_the_answer_looks_again_as_soon_as_that_comes():
    looks = looks_at(Distant(FakeApi(), answer_s=0.5, news_s=0.0))
    assert looks == [(0.0, 0), (0.5, 1), (1.0, 2)]


def test_who_hears_of_its_write_after_the_answer_looks_again_then_and_not_before():
    looks = looks_at(Distant(FakeApi(), answer_s=0.0, news_s=0.5))
    assert looks == [(0.0, 0), (0.5, 1), (1.0, 2)]
