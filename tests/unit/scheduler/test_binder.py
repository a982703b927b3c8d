"""What is told of how decisions were carried out."""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec
from tests.unit.scheduler.fake_api import FakeApi, pod

from kubeberth.api.core import Pod
from kubeberth.api.scheme import PODS
from kubeberth.client.client import Client
from kubeberth.clock import SystemClock
from kubeberth.errors import BerthError, NotFoundError
from kubeberth.metrics import to_text
from kubeberth.scheduler.binder import Binder
from kubeberth.scheduler.hints import Waiting
from kubeberth.scheduler.metrics import SchedulerMetrics
from kubeberth.scheduler.queue import QueuedPod
from kubeberth.scheduler.volumes import Volumes


def test_metrics_tell_how_long_bindings_took_and_how_they_ended() -> None:
    counts = SchedulerMetrics()
    ended: list[BerthError | None] = []

    async def scenario() -> None:
        api = FakeApi()
        client = cast(Client, api)
        api.refuse_bind = lambda key: NotFoundError("gone") if key == "default/gone" else None
        async with asyncio.TaskGroup() as tasks:
            volumes = Volumes(client, {})
            done = lambda entry, node, failure: ended.append(failure)  # noqa: E731
            binder = Binder(client, volumes, tasks, SystemClock(), counts.acted, done)
            for name in ("gone", "web", "db"):
                document = pod(name)
                api.put(PODS, document)
                decided = msgspec.convert(document, Pod)
                binder.start(QueuedPod(decided, Waiting(decided), timestamp=0.0), "a")

    asyncio.run(scenario())
    assert [failure is None for failure in ended] == [False, True, True]
    lines = to_text(counts).splitlines()
    name = "scheduler_framework_extension_point_duration_seconds_count"
    labels = 'extension_point="Bind",status="{}",profile="default-scheduler"'
    assert f"{name}{{{labels.format('Success')}}} 2" in lines
    assert f"{name}{{{labels.format('Error')}}} 1" in lines
    name = "scheduler_plugin_execution_duration_seconds_count"
    assert f'{name}{{plugin="DefaultBinder",extension_point="Bind",status="Success"}} 2' in lines
