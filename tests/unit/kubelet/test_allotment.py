"""What pods have of a described machine: over restarts, in the Node, and for critical pods."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from tests.fake_api import FakeApi
from tests.unit.kubelet.test_kubelet import DEADLINE_S, is_ready, put_pod, status, until

from kubeberth.api.scheme import EVENTS, NODES, PODS
from kubeberth.kubelet.checkpoints import Checkpoints
from kubeberth.kubelet.nodes import NodesSettings, run
from kubeberth.kubelet.specs import specs_from_manifests
from kubeberth.kubelet.stages import Stages
from kubeberth.topology.names import ALLOCATIONS_ANNOTATION
from kubeberth.topology.publication import from_text

STATIC = {"cpuManagerPolicy": "static", "reservedSystemCPUs": "0"}
SINGLE = {**STATIC, "topologyManagerPolicy": "single-numa-node"}


def machine(name="node-1", **configuration):
    return {
        "apiVersion": "kubeberth.io/v1",
        "kind": "Machine",
        "metadata": {"name": name},
        "numaNodes": [
            {"id": 0, "memory": "8Gi", "cpus": "0-3"},
            {"id": 1, "memory": "8Gi", "cpus": "4-7", "socket": 1},
        ],
        "kubeletConfiguration": configuration or SINGLE,
    }


@asynccontextmanager
async def nodes(api, folder, *machines):
    """Run nodes that remember in a folder, until the block ends as if they were killed."""
    ready = asyncio.Event()
    settings = NodesSettings(
        stages=Stages(jitter=0.1), checkpoints=Checkpoints(folder) if folder else None
    )
    specs = specs_from_manifests(machines or [machine()])
    task = asyncio.create_task(run(specs, lambda name: api.client(), settings, ready=ready.set))
    await asyncio.wait_for(ready.wait(), DEADLINE_S)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def put_exclusive(api, name, cpus, node="node-1"):
    """Create a pod of a node that wants CPUs of its own."""
    limits = {"cpu": str(cpus), "memory": "1Gi"}
    container = {"name": "c", "image": "app", "resources": {"limits": limits, "requests": limits}}
    body = {
        "metadata": {"name": name},
        "spec": {"nodeName": node, "containers": [container]},
        "status": {"phase": "Pending", "qosClass": "Guaranteed"},
    }
    return api.put(PODS, body)


def cpus_on_disk(folder, node="node-1"):
    state = json.loads((folder / f"{node}.json").read_bytes())["state"]
    return state["cpus"]["assigned"]


def test_a_pod_that_cannot_be_aligned_fails_with_the_kubelets_words(tmp_path):
    async def scenario():
        api = FakeApi()
        async with nodes(api, tmp_path):
            put_exclusive(api, "wide", 5)
            await until(lambda: status(api, "wide")["phase"] == "Failed")
        assert status(api, "wide")["reason"] == "TopologyAffinityError"
        assert status(api, "wide")["message"] == (
            "Pod was rejected: Resources cannot be allocated with Topology locality"
        )

    asyncio.run(scenario())


def test_cpus_are_on_disk_before_the_cluster_hears_that_their_pod_runs(tmp_path):
    async def scenario():
        api = FakeApi()
        async with nodes(api, tmp_path):
            pod = put_exclusive(api, "web", 2)
            await until(lambda: status(api).get("startTime"))
            assert cpus_on_disk(tmp_path) == {pod["metadata"]["uid"]: {"c": "1-2"}}

    asyncio.run(scenario())


def test_pods_keep_their_cpus_when_their_kubelet_starts_again(tmp_path):
    async def scenario():
        api = FakeApi()
        async with nodes(api, tmp_path):
            first = put_exclusive(api, "first", 2)
            await until(lambda: is_ready(api, "first"))
            second = put_exclusive(api, "second", 2)
            await until(lambda: is_ready(api, "second"))
            api.remove(PODS, "default/first")
            await until(lambda: first["metadata"]["uid"] not in cpus_on_disk(tmp_path))
        # By the order of arrival alone the second pod would now be given the CPUs of the first.
        async with nodes(api, tmp_path):
            third = put_exclusive(api, "third", 2)
            await until(lambda: is_ready(api, "third"))
        assert cpus_on_disk(tmp_path) == {
            second["metadata"]["uid"]: {"c": "4-5"},
            third["metadata"]["uid"]: {"c": "1-2"},
        }
        assert status(api, "second")["phase"] == "Running"

    asyncio.run(scenario())


def test_what_pods_had_that_went_while_nobody_looked_is_free_again(tmp_path):
    async def scenario():
        api = FakeApi()
        async with nodes(api, tmp_path):
            put_exclusive(api, "gone", 3)
            await until(lambda: is_ready(api, "gone"))
        api.remove(PODS, "default/gone")
        async with nodes(api, tmp_path):
            pod = put_exclusive(api, "new", 3)
            await until(lambda: is_ready(api, "new"))
        assert cpus_on_disk(tmp_path) == {pod["metadata"]["uid"]: {"c": "1-3"}}

    asyncio.run(scenario())


def test_a_damaged_file_is_set_aside_and_the_pods_run_on(tmp_path, caplog):
    async def scenario():
        api = FakeApi()
        async with nodes(api, tmp_path):
            pod = put_exclusive(api, "web", 2)
            await until(lambda: is_ready(api))
        path = tmp_path / "node-1.json"
        path.write_bytes(path.read_bytes()[:-20])
        async with nodes(api, tmp_path):
            await until(lambda: path.exists() and cpus_on_disk(tmp_path))
        assert cpus_on_disk(tmp_path) == {pod["metadata"]["uid"]: {"c": "1-2"}}
        assert status(api)["phase"] == "Running"
        assert (tmp_path / "node-1.damaged").exists()

    asyncio.run(scenario())
    [line] = [record.message for record in caplog.records if "damaged" in record.message]
    assert line.startswith("node node-1: checkpoint is corrupted: ")


def test_a_node_that_what_it_kept_keeps_from_starting_says_so_once_and_holds_nobody_up(
    tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr("kubeberth.kubelet.nodes.RESTART_S", 0.01)

    async def scenario():
        api = FakeApi()
        async with nodes(api, tmp_path):
            await until(lambda: (tmp_path / "node-1.json").exists())
        changed = machine(**{**SINGLE, "cpuManagerPolicy": "none"})
        async with nodes(api, tmp_path, changed, machine("node-2")):
            put_exclusive(api, "other", 2, node="node-2")
            await until(lambda: is_ready(api, "other"))
            await asyncio.sleep(0.05)

    asyncio.run(scenario())
    [line] = [record.message for record in caplog.records if "does not start" in record.message]
    assert line.startswith(
        "node node-1 does not start: cpuManager: could not restore state from checkpoint: "
        'configured policy "none" differs from state checkpoint policy "static"'
    )
    assert line.endswith(f"(here it is {tmp_path / 'node-1.json'}): drain the node, then delete it")


def test_a_node_publishes_who_has_what_and_which_pods_it_knows(tmp_path):
    async def scenario():
        api = FakeApi()
        async with nodes(api, None):
            pod = put_exclusive(api, "web", 2)
            plain = put_pod(api, "plain")
            uids = {
                pod["metadata"]["uid"]: "default/web",
                plain["metadata"]["uid"]: "default/plain",
            }

            def published():
                annotations = api.objects[NODES]["node-1"]["metadata"]["annotations"]
                text = annotations.get(ALLOCATIONS_ANNOTATION)
                return text and from_text(text)

            await until(lambda: published() and published().pods == uids)
            assigned = published().allocations.cpus.assigned
            assert assigned == {pod["metadata"]["uid"]: {"c": frozenset({1, 2})}}

    asyncio.run(scenario())


@pytest.mark.parametrize("priority", [0, 2_000_000_000])
def test_only_a_critical_pod_ends_others_to_have_room(tmp_path, priority):
    async def scenario():
        api = FakeApi()
        async with nodes(api, tmp_path, machine(maxPods=1)):
            put_pod(api, "old")
            await until(lambda: is_ready(api, "old"))
            put_pod(api, "new", priority=priority)
            await until(lambda: is_ready(api, "new") or status(api, "new")["phase"] == "Failed")
            if not priority:
                assert status(api, "new")["reason"] == "OutOfpods"
                assert status(api, "old")["phase"] == "Running"
                return
            await until(lambda: status(api, "old")["phase"] == "Failed")
        old = status(api, "old")
        assert (old["reason"], old["message"]) == (
            "Preempting",
            "Preempted in order to admit critical pod",
        )
        [target] = [c for c in old["conditions"] if c["type"] == "DisruptionTarget"]
        assert (target["status"], target["reason"]) == ("True", "TerminationByKubelet")
        assert "Preempting" in {event["reason"] for event in api.objects[EVENTS].values()}

    asyncio.run(scenario())
