"""Whole kubelets against an API server in memory."""

import asyncio
import contextlib
import dataclasses
import functools
import json
import re
import time
from contextlib import asynccontextmanager

import pytest
from tests.fake_api import FakeApi, FakeClient
from tests.unit.kubelet.test_parts import ManualClock

from kubeberth.api.node_labels import closed_to_kubelet
from kubeberth.api.scheme import EVENTS, LEASES, NODES, PODS
from kubeberth.client.client import Client
from kubeberth.client.credentials import Credentials
from kubeberth.errors import ConflictError, ForbiddenError, ServiceUnavailableError
from kubeberth.kubelet import heartbeat as heartbeat_module
from kubeberth.kubelet import kubelet as kubelet_module
from kubeberth.kubelet import pod_lifecycle
from kubeberth.kubelet.heartbeat import Heartbeat
from kubeberth.kubelet.nodes import NodesSettings, run
from kubeberth.kubelet.pace import Pace
from kubeberth.kubelet.specs import node_specs
from kubeberth.kubelet.stages import DEFAULT_DELAYS, Stages
from kubeberth.kubelet.transitions import Step

DEADLINE_S = 10
SETTINGS = NodesSettings(stages=Stages(jitter=0.1))


@asynccontextmanager
async def nodes(api, count=1, settings=SETTINGS):
    """Run nodes as a process of their own would, until the block ends."""
    ready = asyncio.Event()
    specs = node_specs(count, 3)
    task = asyncio.create_task(run(specs, lambda name: api.client(), settings, ready=ready.set))
    await asyncio.wait_for(ready.wait(), DEADLINE_S)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.005)


def put_pod(api, name="web", node="node-1", **spec):
    container = {"name": "c", "image": "nginx", **spec.pop("container", {})}
    body = {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}
    if node:
        body["spec"]["nodeName"] = node
    return api.put(PODS, body)


def status(api, name="web"):
    return api.objects[PODS].get(f"default/{name}", {}).get("status", {})


def is_ready(api, name="web"):
    conditions = {c["type"]: c["status"] for c in status(api, name).get("conditions", [])}
    return conditions.get("Ready") == "True"


def test_nodes_register_and_keep_a_lease():
    async def scenario():
        api = FakeApi()
        async with nodes(api, 3):
            await until(lambda: len(api.objects[LEASES]) == 3)
        assert sorted(api.objects[NODES]) == ["node-1", "node-2", "node-3"]
        ready = [n["status"]["conditions"][-1] for n in api.objects[NODES].values()]
        assert {(c["type"], c["status"]) for c in ready} == {("Ready", "True")}
        owners = api.objects[LEASES]["kube-node-lease/node-1"]["metadata"]["ownerReferences"]
        assert owners[0]["uid"] == api.objects[NODES]["node-1"]["metadata"]["uid"]

    asyncio.run(scenario())


def test_a_node_that_exists_keeps_what_users_gave_it():
    async def scenario():
        api = FakeApi()
        taint = {"key": "dedicated", "effect": "NoSchedule"}
        metadata = {"name": "node-1", "labels": {"disktype": "ssd", "kubernetes.io/os": "plan9"}}
        api.put(NODES, {"metadata": metadata, "spec": {"taints": [taint]}})
        async with nodes(api):
            pass
        node = api.objects[NODES]["node-1"]
        assert node["metadata"]["labels"]["disktype"] == "ssd"
        assert node["metadata"]["labels"]["kubernetes.io/os"] == "linux"
        assert node["spec"]["taints"] == [taint]
        assert node["status"]["conditions"][-1]["status"] == "True"

    asyncio.run(scenario())


def test_an_assigned_pod_runs_is_ready_and_has_an_address():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_pod(api)
            await until(lambda: is_ready(api))
            await until(lambda: len(api.objects[EVENTS]) == 4)
        assert status(api)["phase"] == "Running"
        assert status(api)["podIP"] == "10.244.1.2"
        assert status(api)["hostIP"] == "192.168.0.1"
        assert [e["reason"] for e in api.objects[EVENTS].values()] == [
            "Pulling",
            "Pulled",
            "Created",
            "Started",
        ]
        event = next(iter(api.objects[EVENTS].values()))
        assert event["source"] == {"component": "kubelet", "host": "node-1"}
        assert event["involvedObject"]["fieldPath"] == "spec.containers{c}"

    asyncio.run(scenario())


def test_nodes_know_whether_pods_keep_coming(monkeypatch):
    came = []
    monkeypatch.setattr(Pace, "pod_came", lambda self: came.append(self))

    async def scenario():
        api = FakeApi()
        async with nodes(api, 2):
            put_pod(api, "web")
            put_pod(api, "elsewhere", node="node-2")
            await until(lambda: is_ready(api) and is_ready(api, "elsewhere"))
        assert len(came) == 2
        assert len(set(map(id, came))) == 1

    asyncio.run(scenario())


def waiting_reason(api, name="web"):
    for container in status(api, name).get("containerStatuses", []):
        return container["state"].get("waiting", {}).get("reason")
    return None


def put_unpullable(api):
    return api.put(
        PODS,
        {
            "metadata": {
                "name": "web",
                "annotations": {"kubeberth.io/life": "pull: {fails: true}"},
            },
            "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "nope:1"}]},
        },
    )


def test_a_pod_waits_for_its_image_beyond_a_restart_of_the_kubelet_until_it_can_be_pulled():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_unpullable(api)
            await until(lambda: waiting_reason(api) == "ImagePullBackOff")
        before = status(api)
        del api.objects[PODS]["default/web"]["metadata"]["annotations"]
        async with nodes(api):
            await until(lambda: is_ready(api))
        after = status(api)
        for field in ("startTime", "podIP"):
            assert after[field] == before[field], "it is the same sandbox"
        assert after["containerStatuses"][0]["restartCount"] == 0

    asyncio.run(scenario())


def test_a_pod_that_is_deleted_while_it_waits_for_its_image_goes():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            pod = put_unpullable(api)
            await until(lambda: waiting_reason(api) == "ImagePullBackOff")
            await api.client().delete(PODS, "web", "default", uid=pod["metadata"]["uid"])
            await until(lambda: not api.objects[PODS])

    asyncio.run(scenario())


def test_a_pod_that_is_slow_to_end_is_killed_when_its_grace_period_is_cut_short():
    async def scenario():
        api = FakeApi()
        slow = NodesSettings(stages=Stages({**DEFAULT_DELAYS, Step.STOP: 3600.0}))
        async with nodes(api, settings=slow):
            uid = put_pod(api)["metadata"]["uid"]
            await until(lambda: is_ready(api))
            await api.client().delete(PODS, "web", "default", grace_period_s=3600, uid=uid)
            await until(lambda: any(e["reason"] == "Killing" for e in api.objects[EVENTS].values()))
            assert is_ready(api)
            await api.client().delete(PODS, "web", "default", grace_period_s=1, uid=uid)
            await until(lambda: not api.objects[PODS])

    asyncio.run(scenario())


def test_pods_of_other_nodes_and_of_none_are_left_alone():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_pod(api, "elsewhere", node="node-9")
            put_pod(api, "pending", node="")
            put_pod(api)
            await until(lambda: is_ready(api))
        assert status(api, "elsewhere") == {"phase": "Pending"}
        assert status(api, "pending") == {"phase": "Pending"}

    asyncio.run(scenario())


def test_a_host_network_pod_has_the_address_of_its_node():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_pod(api, hostNetwork=True)
            await until(lambda: is_ready(api))
        assert status(api)["podIP"] == "192.168.0.1"

    asyncio.run(scenario())


def test_a_deleted_pod_ends_and_goes():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_pod(api)
            await until(lambda: is_ready(api))
            await api.client().delete(PODS, "web", "default")
            assert api.objects[PODS], "it ends before it goes"
            await until(lambda: not api.objects[PODS])
        assert ("patch", "pods", "web") in api.log
        last_two = [entry[0] for entry in api.log if entry[1] == "pods"][-2:]
        assert last_two == ["patch", "delete"]

    asyncio.run(scenario())


def test_a_pod_too_many_is_refused_with_the_reason():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_pod(api, "big", container={"resources": {"requests": {"cpu": "3"}}})
            await until(lambda: is_ready(api, "big"))
            put_pod(api, "bigger", container={"resources": {"requests": {"cpu": "1500m"}}})
            await until(lambda: status(api, "bigger").get("phase") == "Failed")
        assert status(api, "bigger")["reason"] == "OutOfcpu"
        assert status(api, "bigger")["message"] == (
            "Pod was rejected: Node didn't have enough resource: cpu, "
            "requested: 1500, used: 3000, capacity: 4000"
        )

    asyncio.run(scenario())


def test_labels_are_looked_up_again_before_a_pod_is_refused_for_them():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_pod(api, "no", nodeSelector={"disktype": "ssd"})
            await until(lambda: status(api, "no").get("phase") == "Failed")
            assert status(api, "no")["reason"] == "NodeAffinity"
            api.change(NODES, "node-1", {"metadata": {"labels": {"disktype": "ssd"}}})
            put_pod(api, "yes", nodeSelector={"disktype": "ssd"})
            await until(lambda: is_ready(api, "yes"))

    asyncio.run(scenario())


def test_taints_are_looked_up_again_before_pods_are_refused_for_them():
    """Pods that wait for the answer are let in in the order in which they came."""
    taint = {"key": "gone", "effect": "NoExecute"}
    half = {"resources": {"requests": {"cpu": "2500m"}}}

    async def scenario():
        api = FakeApi()
        api.put(NODES, {"metadata": {"name": "node-1"}, "spec": {"taints": [taint]}})
        async with nodes(api):
            put_pod(api, "no")
            await until(lambda: status(api, "no").get("phase") == "Failed")
            assert status(api, "no")["reason"] == "TaintToleration"
            api.change(NODES, "node-1", {"spec": {"taints": None}})
            put_pod(api, "first", container=half)
            put_pod(api, "second", container=half)
            await until(lambda: is_ready(api, "first"))
            await until(lambda: status(api, "second").get("phase") == "Failed")
            assert status(api, "second")["reason"] == "OutOfcpu"

    asyncio.run(scenario())


def test_a_running_pod_outlives_a_label_but_not_the_kubelets_next_start():
    """N89."""

    async def scenario():
        api = FakeApi()
        api.put(NODES, {"metadata": {"name": "node-1", "labels": {"disktype": "ssd"}}})
        async with nodes(api):
            put_pod(api, nodeSelector={"disktype": "ssd"})
            await until(lambda: is_ready(api))
            api.change(NODES, "node-1", {"metadata": {"labels": {"disktype": None}}})
            put_pod(api, "other")
            await until(lambda: is_ready(api, "other"))
            assert is_ready(api)
        api.objects[NODES]["node-1"]["metadata"]["labels"].pop("disktype", None)
        async with nodes(api):
            await until(lambda: status(api).get("phase") == "Failed")
        assert status(api)["reason"] == "NodeAffinity"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"unschedulable": True}, id="N81: cordoned"),
        pytest.param({"taints": [{"key": "x", "effect": "NoSchedule"}]}, id="N82: tainted"),
    ],
)
def test_what_keeps_the_scheduler_away_does_not_keep_a_kubelet_from_running_a_pod(spec):
    async def scenario():
        api = FakeApi()
        api.put(NODES, {"metadata": {"name": "node-1"}, "spec": spec})
        async with nodes(api):
            put_pod(api)
            await until(lambda: is_ready(api))

    asyncio.run(scenario())


def test_a_taint_that_evicts_is_looked_at_by_the_kubelet():
    """N83."""

    async def scenario():
        api = FakeApi()
        taint = {"key": "x", "effect": "NoExecute"}
        api.put(NODES, {"metadata": {"name": "node-1"}, "spec": {"taints": [taint]}})
        async with nodes(api):
            put_pod(api)
            await until(lambda: status(api).get("phase") == "Failed")
        assert status(api)["reason"] == "TaintToleration"

    asyncio.run(scenario())


def test_a_restart_of_the_nodes_changes_nothing_about_running_pods():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_pod(api)
            await until(lambda: is_ready(api))
        before = status(api)
        async with nodes(api):
            put_pod(api, "next")
            await until(lambda: is_ready(api, "next"))
            assert status(api) == before
        assert status(api, "next")["podIP"] != before["podIP"]

    asyncio.run(scenario())


def test_pods_that_were_deleted_while_the_nodes_were_away_go_when_they_are_back():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_pod(api)
            await until(lambda: is_ready(api))
        await api.client().delete(PODS, "web", "default")
        put_pod(api, "starting")
        await api.client().delete(PODS, "starting", "default")
        async with nodes(api):
            await until(lambda: not api.objects[PODS])

    asyncio.run(scenario())


def test_an_ended_pod_that_was_deleted_goes_even_if_the_first_try_fails(monkeypatch):
    monkeypatch.setattr(kubelet_module, "RETRY_S", 0.01)

    async def scenario():
        api = FakeApi()
        put_pod(api)
        api.change(PODS, "default/web", {"status": {"phase": "Running"}})
        await api.client().delete(PODS, "web", "default")
        api.change(PODS, "default/web", {"status": {"phase": "Succeeded"}})
        api.refusals["delete", PODS] = ServiceUnavailableError("starting")
        async with nodes(api):
            await until(lambda: ("delete", "pods", "web") in api.log)
            assert api.objects[PODS]
            api.refusals.clear()
            await until(lambda: not api.objects[PODS])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "trouble",
    [ConflictError("the object has been modified"), RuntimeError("a bug")],
    ids=["refused for a conflict", "met a bug"],
)
def test_a_status_that_was_not_written_is_written_again(monkeypatch, trouble):
    monkeypatch.setattr(kubelet_module, "RETRY_S", 0.01)

    async def scenario():
        api = FakeApi()
        async with nodes(api):
            api.refusals["patch", PODS] = trouble
            put_pod(api)
            await until(lambda: sum(entry[:2] == ("patch", "pods") for entry in api.log) > 3)
            api.refusals.clear()
            await until(lambda: is_ready(api))

    asyncio.run(scenario())


def test_a_pod_that_starts_is_written_no_oftener_than_there_is_something_new(monkeypatch):
    patch = FakeClient.patch

    async def answered_late(*args, **kwargs):
        document = await patch(*args, **kwargs)
        await asyncio.sleep(0.01)  # the watch has told of it meanwhile
        return document

    monkeypatch.setattr(FakeClient, "patch", answered_late)

    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_pod(api)
            await until(lambda: is_ready(api))
            await asyncio.sleep(0.1)
        n_written = sum(entry[:2] == ("patch", "pods") for entry in api.log)
        assert n_written == 2, "that it is here, and that it runs"

    asyncio.run(scenario())


def test_a_pod_that_takes_long_to_start_is_known_to_have_a_sandbox(monkeypatch):
    monkeypatch.setattr(pod_lifecycle, "RELIST_S", 0.02)
    slow = NodesSettings(stages=Stages({**DEFAULT_DELAYS, Step.START: 60.0}))

    async def scenario():
        api = FakeApi()
        async with nodes(api, settings=slow):
            put_pod(api)
            await until(lambda: status(api).get("podIP"))
        assert status(api)["phase"] == "Pending"
        states = {c["type"]: c["status"] for c in status(api)["conditions"]}
        assert states["PodReadyToStartContainers"] == "True"

    asyncio.run(scenario())


def test_a_status_that_somebody_overwrote_is_put_right():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_pod(api)
            await until(lambda: is_ready(api))
            await asyncio.sleep(0.02)
            unready = {"type": "Ready", "status": "False"}
            api.change(PODS, "default/web", {"status": {"conditions": [unready]}})
            await until(lambda: is_ready(api))

    asyncio.run(scenario())


def test_a_pod_made_anew_under_the_same_name_is_another_pod():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_pod(api)
            await until(lambda: is_ready(api))
            old = status(api)["containerStatuses"][0]["containerID"]
            api.remove(PODS, "default/web")
            put_pod(api)
            await until(lambda: is_ready(api))
        assert status(api)["containerStatuses"][0]["containerID"] != old

    asyncio.run(scenario())


def test_kubelets_go_on_after_the_server_was_away():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_pod(api)
            await asyncio.sleep(0.03)
            api.is_down = True
            await asyncio.sleep(0.1)
            api.is_down = False
            await until(lambda: is_ready(api))

    asyncio.run(scenario())


def test_a_hundred_nodes_in_one_process_run_their_pods():
    async def scenario():
        api = FakeApi()
        async with nodes(api, 100):
            for number in range(1, 101):
                put_pod(api, f"pod-{number}", node=f"node-{number}")
            await until(lambda: all(is_ready(api, f"pod-{n}") for n in range(1, 101)))
        assert len({status(api, f"pod-{n}")["podIP"] for n in range(1, 101)}) == 100

    asyncio.run(scenario())


class TestHeartbeat:
    def make(self, api, clock):
        [spec] = node_specs(1)
        return Heartbeat(spec, api.client(), clock, Stages().dice(spec.name))

    def beats(self, *delays, before=None):
        """Register, then beat after each of the delays; return what was asked of the API."""

        async def scenario():
            clock = ManualClock()
            api = FakeApi(clock)
            heartbeat = self.make(api, clock)
            await heartbeat.register()
            await heartbeat.beat()
            if before:
                before(api)
            api.log.clear()
            for delay in delays:
                clock.at += delay
                await heartbeat.beat()
            return api, [f"{verb} {resource}" for verb, resource, _ in api.log]

        return asyncio.run(scenario())

    def test_renews_only_the_lease_while_nothing_changes(self):
        """N10."""
        _, log = self.beats(*[10] * 12)
        assert log == ["update leases.coordination.k8s.io"] * 12

    def test_posts_the_status_again_after_at_most_seven_and_a_half_minutes(self):
        _, log = self.beats(*[10] * 45)
        assert log.count("patch nodes") == 1

    def test_posts_the_status_at_once_after_a_silence(self):
        """The cluster has called the node Unknown by then."""

        def declare_unknown(api):
            unknown = {"type": "Ready", "status": "Unknown"}
            api.change(NODES, "node-1", {"status": {"conditions": [unknown]}})

        api, log = self.beats(60, before=declare_unknown)
        assert log[-1] == "patch nodes"
        ready = {
            c["type"]: c["status"] for c in api.objects[NODES]["node-1"]["status"]["conditions"]
        }
        assert ready["Ready"] == "True"

    def test_tries_again_soon_when_the_server_did_not_take_a_beat(self):
        async def scenario():
            clock = ManualClock()
            api = FakeApi(clock)
            heartbeat = self.make(api, clock)
            await heartbeat.register()
            waits = []
            for api.is_down in (False, True, False):
                await heartbeat.beat()
                waits.append(heartbeat.next_beat_s())
            return waits

        usual, soon, usual_again = asyncio.run(scenario())
        assert soon < 3 < usual
        assert usual_again > 3

    def test_does_not_bring_a_deleted_node_back(self):
        """N12."""

        def delete(api):
            api.remove(NODES, "node-1")
            api.remove(LEASES, "kube-node-lease/node-1")

        api, _ = self.beats(*[10] * 40, before=delete)
        assert api.objects[NODES] == {}
        lease = api.objects[LEASES]["kube-node-lease/node-1"]
        assert "ownerReferences" not in lease["metadata"]

    def test_takes_over_a_node_that_it_may_not_create(self, monkeypatch):
        monkeypatch.setattr(heartbeat_module, "REGISTER_FIRST_S", 0.001)

        async def scenario():
            api = FakeApi()
            api.refusals["create", NODES] = ForbiddenError("no")
            task = asyncio.create_task(self.make(api, api.clock).register())
            await until(lambda: api.log)
            assert not task.done()
            api.put(NODES, {"metadata": {"name": "node-1"}})
            await asyncio.wait_for(task, DEADLINE_S)
            assert api.objects[NODES]["node-1"]["status"]["conditions"]

        asyncio.run(scenario())


@pytest.mark.parametrize("count", [1, 2])
def test_a_crash_loop_survives_the_kubelet(count):
    async def scenario():
        api = FakeApi()
        put_pod(api, container={"command": ["false"]})
        for _ in range(count):
            async with nodes(api):
                await until(
                    lambda: (
                        status(api)
                        .get("containerStatuses", [{}])[0]
                        .get("state", {})
                        .get("waiting", {})
                        .get("reason")
                        == "CrashLoopBackOff"
                    )
                )
        assert status(api)["containerStatuses"][0]["restartCount"] >= 1

    asyncio.run(scenario())


def test_a_kubelet_leaves_out_the_labels_that_a_server_lets_no_kubelet_set():
    async def scenario():
        api = FakeApi()
        client = api.client()
        create = client.create

        async def restricted(resource, document, namespace=None):
            if closed_to_kubelet(document["metadata"].get("labels") or {}):
                raise ForbiddenError("no")
            return await create(resource, document, namespace)

        client.create = restricted
        spec = dataclasses.replace(
            node_specs(1)[0],
            labels={"disktype": "ssd", "node-restriction.kubernetes.io/zone": "secure"},
        )
        heartbeat = Heartbeat(spec, client, api.clock, Stages().dice(spec.name))
        await asyncio.wait_for(heartbeat.register(), DEADLINE_S)
        assert api.objects[NODES][spec.name]["metadata"]["labels"] == {"disktype": "ssd"}

    asyncio.run(scenario())


def test_a_lease_is_renewed_although_a_pod_s_status_gets_no_answer(monkeypatch):
    monkeypatch.setattr(heartbeat_module, "RENEW_PERIOD_S", 0.05)
    monkeypatch.setattr(heartbeat_module, "PATIENCE_S", 0.02)

    async def scenario():
        api = FakeApi()
        statuses, over, leases = asyncio.Event(), asyncio.Event(), []

        async def talk(reader, writer):
            """Answer as an API server whose writes of pod statuses hang."""
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await answer_all(reader, writer)
            writer.close()

        async def answer_all(reader, writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"Content-Length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                method, target, _ = head.split(" ", 2)
                if "watch=true" in target or target.endswith("/status"):
                    if target.endswith("/status"):
                        statuses.set()
                    await over.wait()
                    return
                if "/pods?" in target:
                    pod = put_pod(api)
                    answer = {"metadata": {"resourceVersion": "1"}, "items": [pod]}
                else:
                    answer = json.loads(body or b"{}")
                    answer.setdefault("metadata", {"name": "node-1"})["resourceVersion"] = "1"
                    answer.setdefault("spec", {})
                if method == "PUT" and statuses.is_set():
                    leases.append(answer["spec"]["renewTime"])
                text = json.dumps(answer).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        credentials = Credentials(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        clients = functools.partial(Client, credentials, max_requests=1)
        task = asyncio.create_task(run(node_specs(1), lambda name: clients(), SETTINGS))
        await until(lambda: len(leases) >= 3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        over.set()
        server.close()
        await asyncio.sleep(0.05)
        assert len(set(leases)) == len(leases)

    asyncio.run(scenario())


def test_a_pod_fails_when_its_active_deadline_is_over_also_one_that_was_set_later():
    async def scenario():
        api = FakeApi()
        async with nodes(api):
            put_pod(api, "short", activeDeadlineSeconds=1)
            put_pod(api, "later")
            await until(lambda: is_ready(api, "later"))
            change = {"spec": {"activeDeadlineSeconds": 1}, "metadata": {"generation": 2}}
            api.change(PODS, "default/later", change)
            for name in ("short", "later"):
                await until(lambda name=name: status(api, name).get("phase") == "Failed")
                assert status(api, name)["reason"] == "DeadlineExceeded"

    asyncio.run(scenario())
