"""What the judge of `benchmarks/soak_rollouts.py` sees, and what it holds controllers to.

One that sees nothing is none, nor is one that asks for what nobody was told.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, cast

import pytest
from benchmarks.soak_rollouts import (
    INDEX,
    NAMESPACE,
    Auditor,
    Storm,
    _unheard_faults,
    workloads,
)
from benchmarks.soaking import Cluster, end, going_on
from tests.fake_api import FakeApi, FakeClient
from tests.virtual_time import VirtualLoop

from kubeberth.api.scheme import DEPLOYMENTS, PODS
from kubeberth.client.client import Client

N_NODES = 3
Document = dict[str, Any]


def pod(app: str, name: str, *, node: str = "n1", ready: bool = True, **meta: Any) -> Document:
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    known = {"namespace": "soak", "name": name, "labels": {"app": app}, "resourceVersion": "1"}
    return {
        "metadata": {**known, **meta},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "conditions": [condition]},
    }


def faults(*pods: Document, complete: bool = False) -> list[str]:
    """Show pods to an auditor, one after the other, and return what it says."""
    auditor = Auditor(cast(Client, None), workloads(N_NODES))
    if complete:
        auditor.begin()
    for each in pods:
        auditor.history._put(f"soak/{each['metadata']['name']}-{each['metadata'].get('uid')}", each)
    return list(auditor.broken)


def many(app: str, n_pods: int, **more: Any) -> list[Document]:
    return [pod(app, f"{app}-{index}", **more) for index in range(n_pods)]


def test_as_many_pods_as_may_be_are_none_too_many() -> None:
    assert faults(*many("usual", 13)) == []
    assert faults(*many("usual", 13), pod("usual", "going", deletionTimestamp="now")) == []


@pytest.mark.parametrize(
    ("pods", "fault"),
    [
        pytest.param(many("usual", 14), "usual: 14 pods, 13 at most", id="beyond maxSurge"),
        pytest.param(
            [pod("replacing", "a"), pod("replacing", "b")],
            "replacing: 2 pods on n1",
            id="two daemons on a node",
        ),
        pytest.param(
            [pod("ordered", "ordered-0", uid="1"), pod("ordered", "ordered-0", uid="2")],
            "ordered: 2 of ordered-0",
            id="an ordinal twice",
        ),
        pytest.param(
            [pod("ordered", "ordered-4")], "ordered: 1 of ordered-4", id="an ordinal too many"
        ),
        pytest.param(
            [pod("job-0", name, annotations={INDEX: "2"}) for name in "ab"],
            "job-0: 2 pods work on index 2",
            id="an index twice",
        ),
    ],
)
def test_what_must_not_be_is_told(pods: list[Document], fault: str) -> None:
    assert faults(*pods) == [fault]


def test_too_few_that_are_available_are_told_once_they_were_enough() -> None:
    pods = [*many("careful", 4), pod("careful", "careful-4", ready=False)]
    assert faults(*pods) == []
    assert "careful: 4 available, 5 at least" in faults(*pods, complete=True)


def test_a_fault_comes_with_what_led_to_it_who_wrote_that_and_the_kills_in_between() -> None:
    async def scenario() -> list[str]:
        api = FakeApi()
        auditor = Auditor(cast(Client, api.client()), workloads(N_NODES))
        following = asyncio.create_task(auditor.follow())
        key = api.put(DEPLOYMENTS, written_by("kubectl", deployment(0)))["metadata"]["name"]
        for each in many("usual", 13):
            api.put(PODS, each)
        await asyncio.sleep(1)
        killed_at = [time.monotonic()]
        api.change(DEPLOYMENTS, f"soak/{key}", written_by("kubectl-patch", deployment(7)))
        api.put(PODS, pod("usual", "one-too-many"))
        await asyncio.sleep(1)
        await end(following)
        return auditor.story("usual: 14 pods, 13 at most", killed_at)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        story = runner.run(scenario())
    told = [line.partition(" s  ")[2] for line in story]
    assert told[0].startswith("@1  Deployment usual by kubectl: template 0, 10 replicas")
    assert told[-3:] == [
        "the controllers are killed",
        "@15  Deployment usual by kubectl-patch: template 7, 10 replicas, generation 2;"
        " tells of generation 1: 10 pods, 9 available",
        "@16  Pod one-too-many by nobody who owns fields: Running, ready, on n1, of nobody",
    ]
    assert len(told) == 17


def deployment(version: int) -> Document:
    template = {"metadata": {"annotations": {"version": str(version)}}}
    return {
        "metadata": {"namespace": "soak", "name": "usual"},
        "spec": {"replicas": 10, "template": template},
        "status": {"observedGeneration": 1, "replicas": 10, "availableReplicas": 9},
    }


def written_by(manager: str, item: Document) -> Document:
    entry = {"manager": manager, "operation": "Update"}
    return {**item, "metadata": {**item["metadata"], "managedFields": [entry]}}


class BusyClient(FakeClient):
    """Hears of what its server has done some time after that."""

    async def patch(self, *arguments: Any, **options: Any) -> Document:
        answer = await super().patch(*arguments, **options)
        await asyncio.sleep(0.3)
        return answer


@pytest.mark.parametrize("storm_s", [number / 4 for number in range(1, 40)])
def test_a_storm_knows_which_template_was_asked_for_last_whenever_it_ends(storm_s: float) -> None:
    async def scenario() -> None:
        api, rolled = FakeApi(), workloads(N_NODES)
        client = cast(Client, BusyClient(api))
        storm = Storm(client, cast(Cluster, None), rolled, random.Random(5))
        await storm.begin()
        async with going_on(storm.roll):
            await asyncio.sleep(storm_s)
        for each in rolled:
            body = api.objects[each.resource][f"{NAMESPACE}/{each.name}"]
            version = body["spec"]["template"]["metadata"]["annotations"]["version"]
            assert version == str(storm.versions[each.name])

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario())


def test_a_watch_that_has_not_told_of_what_is_there_by_now_is_found_out() -> None:
    pods = [pod("usual", name, resourceVersion=version) for name, version in ("a7", "b8", "c9")]
    followed = {f"soak/{each['metadata']['name']}": each for each in pods}
    assert list(_unheard_faults(pods, followed)) == []
    followed["soak/b"] = pod("usual", "b", resourceVersion="5")
    assert list(_unheard_faults(pods[1:], followed)) == [
        "soak/a is at None, who watches has 7",
        "soak/b is at 8, who watches has 5",
    ]
