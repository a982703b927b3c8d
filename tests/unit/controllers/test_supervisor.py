"""Whole controllers against an API server in memory."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from tests.fake_api import FakeApi
from tests.objects import template

from kubeberth.api.scheme import (
    CONFIG_MAPS,
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    STATEFUL_SETS,
)
from kubeberth.client.election import Election
from kubeberth.client.lease import Terms
from kubeberth.client.mandate import LeadershipLostError
from kubeberth.clock import SystemClock
from kubeberth.controllers.supervisor import ControllerSettings, run
from kubeberth.errors import ForbiddenError

DEADLINE_S = 10


@asynccontextmanager
async def controllers(api):
    """Run controllers as a process of their own would, until the block ends."""
    task, ready = start(api)
    await asyncio.wait_for(ready.wait(), DEADLINE_S)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def start(api, mandate=None, **options):
    ready = asyncio.Event()
    settings = ControllerSettings(root_ca="PEM")
    task = asyncio.create_task(
        run(api.client(), settings, ready=ready.set, mandate=mandate, **options)
    )
    return task, ready


async def until(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def ready_pods(api):
    """Play the scheduler and the kubelets: every pod is ready at once, and goes when asked to."""

    async def play():
        while True:
            for key, pod in list(api.objects[PODS].items()):
                if "deletionTimestamp" in pod["metadata"]:
                    api.remove(PODS, key)
                elif pod["status"]["phase"] == "Pending":
                    ready = {"type": "Ready", "status": "True"}
                    status = {"phase": "Running", "conditions": [ready]}
                    spec = {"nodeName": _node_for(pod)}
                    api.change(PODS, key, {"spec": spec, "status": status})
            await asyncio.sleep(0.002)

    task = asyncio.create_task(play())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _node_for(pod):
    """Return the node that a daemon asks for by name, or any."""
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return "n"
    return required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0]


def api_with(*deployments):
    api = FakeApi()
    api.put(NAMESPACES, {"metadata": {"name": "default"}})
    for name, replicas in deployments:
        api.put(DEPLOYMENTS, deployment(name, replicas))
    return api


def deployment(name="web", replicas=3, image="nginx:1"):
    labels = {"app": name}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": template(image, labels),
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
        },
    }


def available(api, name="web"):
    return api.objects[DEPLOYMENTS][f"default/{name}"].get("status", {}).get("availableReplicas", 0)


def is_rolled_out(api, name="web"):
    body = api.objects[DEPLOYMENTS][f"default/{name}"]
    status, wanted = body.get("status", {}), body["spec"]["replicas"]
    counts = [status.get(k, 0) for k in ("replicas", "updatedReplicas", "availableReplicas")]
    return counts == [wanted] * 3 and status["observedGeneration"] == body["metadata"]["generation"]


def set_image(api, image, name="web"):
    patch = {"spec": {"template": template(image, {"app": name})}}
    api.change(DEPLOYMENTS, f"default/{name}", patch)


def test_a_deployment_gets_its_pods_and_becomes_available():
    async def scenario():
        api = api_with(("web", 3))
        async with controllers(api), ready_pods(api):
            await until(lambda: is_rolled_out(api))
        assert len(api.objects[PODS]) == 3
        reasons = {body["reason"] for body in api.objects[EVENTS].values()}
        assert reasons == {"ScalingReplicaSet", "SuccessfulCreate"}
        assert "default/default" in api.objects[SERVICE_ACCOUNTS]
        assert api.objects[CONFIG_MAPS]["default/kube-root-ca.crt"]["data"] == {"ca.crt": "PEM"}

    asyncio.run(scenario())


def test_a_rollout_stays_within_its_bounds_at_every_moment():
    async def scenario():
        api = api_with(("web", 10))
        async with controllers(api), ready_pods(api):
            await until(lambda: is_rolled_out(api))
            seen = []

            def look():
                alive = [p for p in api.objects[PODS].values() if _is_alive(p)]
                seen.append((len(alive), sum(_is_ready(p) for p in alive)))
                return is_rolled_out(api)

            set_image(api, "nginx:2")
            await until(look)
        assert max(total for total, _ in seen) <= 13
        assert min(ready for _, ready in seen) >= 8
        # A rollout is complete while its last old pods still terminate.
        alive = [p for p in api.objects[PODS].values() if _is_alive(p)]
        assert {p["spec"]["containers"][0]["image"] for p in alive} == {"nginx:2"}

    asyncio.run(scenario())


def _is_alive(pod):
    return "deletionTimestamp" not in pod["metadata"]


def _is_ready(pod):
    return any(c["type"] == "Ready" for c in pod["status"].get("conditions", []))


def test_rolling_back_reuses_the_old_set():
    async def scenario():
        api = api_with(("web", 3))
        async with controllers(api), ready_pods(api):
            for image in ("nginx:1", "nginx:2", "nginx:1"):
                set_image(api, image)
                await until(lambda: is_rolled_out(api))
        annotations = [s["metadata"]["annotations"] for s in api.objects[REPLICA_SETS].values()]
        revisions = {a["deployment.kubernetes.io/revision"] for a in annotations}
        assert revisions == {"3", "2"}

    asyncio.run(scenario())


def test_controllers_that_are_killed_again_and_again_make_no_pod_too_many():
    async def scenario():
        api = api_with(("web", 40))
        most = 0
        async with ready_pods(api):
            for _ in range(15):
                async with controllers(api):
                    await asyncio.sleep(0.004)
                most = max(most, len(api.objects[PODS]))
            async with controllers(api):
                await until(lambda: is_rolled_out(api))
        assert most <= 40
        assert len(api.objects[PODS]) == 40

    asyncio.run(scenario())


def stateful_set(name="db", replicas=5, policy="OrderedReady"):
    labels = {"app": name}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "podManagementPolicy": policy,
            "selector": {"matchLabels": labels},
            "template": template(labels=labels),
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "revisionHistoryLimit": 10,
        },
    }


def daemon_set(name="agent"):
    labels = {"app": name}
    return {
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": template(labels=labels),
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
            },
            "revisionHistoryLimit": 10,
        },
    }


def is_updated(api, image, *apps):
    pods = [p for p in api.objects[PODS].values() if p["metadata"]["labels"]["app"] in apps]
    return all(
        _is_alive(pod) and _is_ready(pod) and pod["spec"]["containers"][0]["image"] == image
        for pod in pods
    )


WORKLOADS = ((STATEFUL_SETS, "db"), (STATEFUL_SETS, "fast"), (DAEMON_SETS, "agent"))


def test_sets_come_and_are_updated_though_their_controllers_are_killed_all_the_time():
    async def scenario():
        api = api_with()
        for number in range(8):
            api.put(NODES, {"metadata": {"name": f"n{number}"}, "spec": {}})
        api.put(STATEFUL_SETS, stateful_set())
        api.put(STATEFUL_SETS, stateful_set("fast", policy="Parallel"))
        api.put(DAEMON_SETS, daemon_set())
        async with ready_pods(api):
            for number in range(20):
                if number == 10:
                    for resource, app in WORKLOADS:
                        made_of = template("nginx:2", {"app": app})
                        api.change(resource, f"default/{app}", {"spec": {"template": made_of}})
                async with controllers(api):
                    await asyncio.sleep(0.006)
                assert len(api.objects[PODS]) <= 18
            async with controllers(api):
                await until(
                    lambda: (
                        len(api.objects[PODS]) == 18
                        and is_updated(api, "nginx:2", *(app for _, app in WORKLOADS))
                    )
                )
        assert len(api.objects[CONTROLLER_REVISIONS]) <= 6, "two of each, old and new"

    asyncio.run(scenario())


def test_many_deployments_at_once_all_get_there():
    async def scenario():
        api = api_with(*((f"app-{i}", 2) for i in range(40)))
        async with controllers(api), ready_pods(api):
            await until(lambda: all(is_rolled_out(api, f"app-{i}") for i in range(40)))
        assert len(api.objects[PODS]) == 80

    asyncio.run(scenario())


@pytest.mark.parametrize("propagation", ["Background", "Foreground", None])
def test_deleting_a_deployment_takes_its_sets_and_pods_along(propagation):
    async def scenario():
        api = api_with(("web", 3))
        async with controllers(api), ready_pods(api):
            await until(lambda: is_rolled_out(api))
            await api.client().delete(DEPLOYMENTS, "web", "default", propagation=propagation)
            await until(
                lambda: (
                    not (api.objects[DEPLOYMENTS] or api.objects[REPLICA_SETS] or api.objects[PODS])
                )
            )

    asyncio.run(scenario())


def test_orphaned_sets_and_pods_stay():
    async def scenario():
        api = api_with(("web", 2))
        async with controllers(api), ready_pods(api):
            await until(lambda: is_rolled_out(api))
            await api.client().delete(DEPLOYMENTS, "web", "default", propagation="Orphan")
            await until(lambda: not api.objects[DEPLOYMENTS])
        [left] = api.objects[REPLICA_SETS].values()
        assert "ownerReferences" not in left["metadata"]
        assert len(api.objects[PODS]) == 2

    asyncio.run(scenario())


def test_a_deleted_namespace_is_emptied_and_goes():
    async def scenario():
        api = api_with(("web", 2))
        async with controllers(api), ready_pods(api):
            await until(lambda: is_rolled_out(api))
            await api.client().delete(NAMESPACES, "default")
            await until(lambda: not api.objects[NAMESPACES])
        left = {resource.plural for resource, items in api.objects.items() if items}
        assert left == set()

    asyncio.run(scenario())


def test_pods_that_may_not_be_created_are_reported_and_made_when_they_may():
    async def scenario():
        api = api_with(("web", 2))
        api.refusals["create", PODS] = ForbiddenError('pods "web-" is forbidden: exceeded quota')
        async with controllers(api), ready_pods(api):

            def failure():
                conditions = [
                    condition
                    for item in api.objects[REPLICA_SETS].values()
                    for condition in item.get("status", {}).get("conditions", [])
                ]
                return [c["message"] for c in conditions if c["type"] == "ReplicaFailure"]

            await until(failure)
            assert failure() == ['pods "web-" is forbidden: exceeded quota']
            api.refusals.clear()
            await until(lambda: is_rolled_out(api))
            await until(lambda: not failure())
        messages = {e["message"] for e in api.objects[EVENTS].values()}
        assert 'Error creating: pods "web-" is forbidden: exceeded quota' in messages

    asyncio.run(scenario())


def test_controllers_go_on_after_the_server_was_away():
    async def scenario():
        api = api_with(("web", 3))
        async with controllers(api), ready_pods(api):
            await until(lambda: is_rolled_out(api))
            api.is_down = True
            api.change(DEPLOYMENTS, "default/web", {"spec": {"replicas": 6}})
            await asyncio.sleep(0.05)
            api.is_down = False
            await until(lambda: is_rolled_out(api))
        assert len(api.objects[PODS]) == 6

    asyncio.run(scenario())


def elected(api, identity):
    terms = Terms(name="kube-controller-manager", lease_s=1, renew_s=0.6, retry_s=0.05)
    return Election(api.client(), terms, SystemClock(), identity=identity)


def test_of_several_controllers_one_works_and_the_next_goes_on_when_it_is_told_to_end():
    async def scenario():
        api = api_with(("web", 3))
        async with ready_pods(api):
            (first, is_first), (second, is_second) = (start(api, elected(api, n)) for n in "ab")
            await until(lambda: is_rolled_out(api))
            await until(lambda: is_first.is_set() or is_second.is_set())
            leader, follower = (first, is_second) if is_first.is_set() else (second, is_first)
            assert not follower.is_set()
            set_image(api, "nginx:2")
            await asyncio.sleep(0.01)
            leader.cancel()
            await until(lambda: is_rolled_out(api) and follower.is_set())
            first.cancel()
            second.cancel()
            await asyncio.gather(first, second, return_exceptions=True)
        assert len(api.objects[PODS]) == 3
        [lease] = api.objects[LEASES].values()
        assert lease["spec"]["leaseTransitions"] >= 1

    asyncio.run(scenario())


def test_controllers_that_lose_their_seat_end_and_write_nothing_more():
    async def scenario():
        api = api_with(("web", 3))
        mandate = elected(api, "a")
        task, ready = start(api, mandate)
        await asyncio.wait_for(ready.wait(), DEADLINE_S)
        await until(lambda: len(api.objects[PODS]) == 3)
        rival = {"spec": {"holderIdentity": "b", "leaseDurationSeconds": 60}}
        api.change(LEASES, "kube-system/kube-controller-manager", rival)
        with pytest.raises(BaseExceptionGroup) as ended:
            await asyncio.wait_for(task, DEADLINE_S)
        assert ended.group_contains(LeadershipLostError)
        before = len(api.log)
        set_image(api, "nginx:2")
        await asyncio.sleep(0.05)
        assert api.log[before:] == []
        [lease] = api.objects[LEASES].values()
        assert lease["spec"]["holderIdentity"] == "b"

    asyncio.run(scenario())


def test_what_there_is_to_do_and_how_much_was_seen_can_be_dumped_at_any_time(caplog):
    caplog.set_level("INFO")

    def dumped(dump):
        caplog.clear()
        dump()
        return caplog.records

    async def scenario():
        api, dumps = api_with(("web", 3)), []
        api.refusals["create", REPLICA_SETS] = ForbiddenError("no sets today")
        task, ready = start(api, dump_on=dumps.append)
        await asyncio.sleep(0)
        [dump] = dumps
        assert set(dumped(dump)[0].revisions.values()) == {0}, "nothing is seen yet"
        await asyncio.wait_for(ready.wait(), DEADLINE_S)
        await until(lambda: ("create", "replicasets.apps", "web") in made_so_far(api))
        await asyncio.sleep(0.05)
        seen, *queues, last = dumped(dump)
        assert seen.revisions["deployments.apps"] > 0
        [web] = next(q.keys for q in queues if q.controller == "deployment-controller")
        assert web["key"] == "default/web"
        assert web["failures"] > 0
        assert "no sets today" in web["failure"]
        assert last.getMessage() == "dump of work queues finished"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def made_so_far(api):
        return [(verb, kind, name.partition("-")[0]) for verb, kind, name in api.log]

    asyncio.run(scenario())
