"""The shell around a reconciler: when it looks at a key again."""

import asyncio

from tests.fake_api import FakeApi
from tests.objects import NOW

from kubeberth.api.scheme import PODS
from kubeberth.client.recorder import EventRecorder
from kubeberth.controllers.action import Outcome
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.controller import REST_SHARE, Controller
from kubeberth.controllers.executor import Executor


class Clock:
    def __init__(self):
        self.at = 0.0

    def now(self):
        return NOW + self.at

    def monotonic(self):
        return self.at


class Reconciler:
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
        reconciler = Reconciler(clock, {"big": 0.02, "small": 0.0})
        recorder = EventRecorder(api.client(), "slow", clock)
        executor = Executor(api.client(), recorder)
        controller = Controller(
            reconciler, Cache(), executor, clock, revision_of=lambda resource: 0
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
