"""What a plan says is what happens: the same manifests, planned and then applied.

The live cluster is the real one in virtual time (tests/live_cluster.py). Equal is what is on each
node of each workload, what is pending and why, and how far rollouts get. Both break ties alike, so
that nothing but the last letters of names may differ: of equal nodes the first one is taken, and of
pods that are too many the youngest goes, where a ReplicaSet takes ages of one order of magnitude
for equal and leaves it to the UID, which is drawn anew each time.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.live_cluster import LiveCluster, running
from tests.property.planned_worlds import (
    CLASSES,
    CLOSING,
    HOST,
    WITH_POLICIES,
    ZONE,
    node_specs,
    releases,
    stories,
)
from tests.unit.planner.clusters import as_file

from kubeberth.api.scheme import BY_KIND, DEPLOYMENTS, NODES, PODS
from kubeberth.controllers.workloads import replica_set
from kubeberth.errors import (
    ApiError,
    BerthError,
    InternalError,
    InvalidObjectError,
    TooManyRequestsError,
)
from kubeberth.placement.profile import default_profile
from kubeberth.placement.ties import Shuffled
from kubeberth.planner.kinds import MERGED, TYPES, WORKLOADS
from kubeberth.planner.manifests import read
from kubeberth.planner.planning import RefusedError, Task, carry_out
from kubeberth.planner.questions import NewNodes, Questions
from kubeberth.planner.snapshot import as_json
from kubeberth.planner.world import Rules

Document = dict[str, Any]
Shape = dict[str, Any]

PROFILE = default_profile()
MAKERS = frozenset(resource.kind for resource in WORKLOADS)
SIZED = MAKERS - {"DaemonSet"}
OF_A_POD = re.compile(r"-[a-z0-9]{5}-(?=scratch)")
RULES = Rules({PROFILE.name: PROFILE}, Shuffled(0))


def shape_of(pods: list[Document], deployments: list[Document]) -> Shape:
    """Return what is to be equal: who is where, who waits and why, how far rollouts got."""
    placed: Counter[str] = Counter()
    for pod in pods:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        # Of new nodes that are alike, it is chance which one is ready first.
        node = re.sub(r"-new-\d+", "-new", pod["spec"].get("nodeName") or "pending")
        placed[f"{maker_of(pod)} {image_of(pod)} {node}"] += 1
    rollouts = {
        item["metadata"]["name"]: {
            field: item.get("status", {}).get(field) or 0
            for field in ("replicas", "updatedReplicas", "availableReplicas")
        }
        for item in deployments
    }
    return {"placed": dict(sorted(placed.items())), "rollouts": rollouts}


def maker_of(pod: Document) -> str:
    """Return what a pod is a pod of; of a stateful set also which one."""
    owners = pod["metadata"].get("ownerReferences") or ()
    kind = owners[0]["kind"] if owners else "Pod"
    is_named = kind in ("Pod", "StatefulSet")
    return f"{kind}/{pod['metadata']['name'] if is_named else pod['metadata']['labels']['app']}"


def is_daemon(pod: Document) -> bool:
    return maker_of(pod).startswith("DaemonSet/")


def image_of(pod: Document) -> str:
    image: str = pod["spec"]["containers"][0]["image"]
    return image


def planned(cluster: list[Document], manifests: list[Document], **asked: Any) -> Shape:
    """Return what a plan makes of a cluster, manifests and questions."""
    task = Task(cluster, read([as_file(*manifests)]), Questions(**asked), RULES)
    try:
        world, _ = carry_out(task)
    except RefusedError as error:
        return {"refused": [told(each) for each in error.errors]}
    pods = [as_json(pod) for pod in world.objects.all(PODS)]
    deployments = [as_json(item) for item in world.objects.all(DEPLOYMENTS)]
    told_of = [(maker_of(as_json(w.pod)), w.message) for w in world.placing.waiting]
    # Claims are called after their pods, whose last letters may differ.
    messages = [f"{maker}: {OF_A_POD.sub('-...-', message)}" for maker, message in told_of]
    return shape_of(pods, deployments) | {"messages": sorted(messages), "refused": []}


def found_in(cluster: list[Document]) -> Shape:
    """Return what is so in a cluster."""
    return shape_of(
        [item for item in cluster if item["kind"] == PODS.kind],
        [item for item in cluster if item["kind"] == DEPLOYMENTS.kind],
    )


async def refusals(cluster: LiveCluster, manifests: list[Document]) -> list[str]:
    """Apply manifests, and return what is refused of them and why."""
    found = []
    for document in manifests:
        try:
            await cluster.apply([document])
        except ApiError as error:
            causes = error.details.get("causes") or [{"message": str(error)}]
            found += [f"{document['kind']}: {gist(cause['message'])}" for cause in causes]
    return found


def told(error: BerthError) -> str:
    """Return what a plan says of an object that it refuses."""
    if isinstance(error, InvalidObjectError):
        return f"{error.kind}: {gist(error.reason)}"
    return f"{str(error).split(': ')[1]}: {gist(str(error))}"


def gist(message: str) -> str:
    """Return a message without the value that it is about."""
    return message.rpartition(": ")[2]


async def snapshot(cluster: LiveCluster) -> list[Document]:
    return [item for resource in TYPES for item in await cluster.items(resource)]


async def drain(cluster: LiveCluster, names: Sequence[str]) -> None:
    """Empty nodes as `kubectl drain` does: each is asked again as long as that helps."""
    for name in names:
        await cluster.admin.patch(NODES, name, {"spec": {"unschedulable": True}})
    for name in names:
        there = [pod for pod in await cluster.items(PODS) if pod["spec"].get("nodeName") == name]
        meant = {pod["metadata"]["uid"] for pod in there}
        while await evict(cluster, meant):
            await cluster.settle()
        await cluster.settle()


async def evict(cluster: LiveCluster, uids: set[str]) -> bool:
    """Ask pods to go; return whether one was let to."""
    has_evicted = False
    for pod in await cluster.items(PODS):
        meta = pod["metadata"]
        owners = meta.get("ownerReferences") or [{"kind": ""}]
        is_meant = meta["uid"] in uids and "deletionTimestamp" not in meta
        if is_meant and owners[0]["kind"] != "DaemonSet":
            has_evicted |= await evict_one(cluster, meta["namespace"], meta["name"])
    return has_evicted


async def evict_one(cluster: LiveCluster, namespace: str, name: str) -> bool:
    """Ask a pod to go; return whether its budgets let it."""
    body = {"metadata": {"name": name, "namespace": namespace}}
    named = {"apiVersion": "policy/v1", "kind": "Eviction", **body}
    try:
        await cluster.admin.create(PODS, named, namespace, name=name, sub="eviction")
    except (TooManyRequestsError, InternalError):  # a budget has nothing left, or there are two
        return False
    return True


def is_open(releases: list[list[Document]]) -> bool:
    """Return whether what comes of several releases is not for a plan to know."""
    manifests = [item for each in releases for item in each]
    return is_contested(manifests) or is_shortened(manifests)


def is_contested(manifests: list[Document]) -> bool:
    """Return whether several workloads wait for what a quota has left.

    When some of it comes free, it is whose controller happens to ask first.
    """
    kinds = [item["kind"] for item in manifests]
    return "ResourceQuota" in kinds and sum(kind in MAKERS for kind in kinds) > 1


def is_shortened(manifests: list[Document]) -> bool:
    """Return whether a manifest leaves out what an earlier one of the same object has said.

    Of kinds of which the cluster says most that stays in a plan, and goes when a server is told who
    said it.
    """
    said: dict[tuple[str, str], Document] = {}
    for item in manifests:
        if BY_KIND[item["apiVersion"], item["kind"]] in MERGED:
            place = item["kind"], item["metadata"]["name"]
            if place in said and not says_as_much(item, said[place]):
                return True
            said[place] = item
    return False


def says_as_much(new: Any, old: Any) -> bool:
    """Return whether a document has every field that another one has."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(k in new and says_as_much(new[k], old[k]) for k in old)
    if isinstance(old, list):
        is_long = isinstance(new, list) and len(new) >= len(old)
        return is_long and all(map(says_as_much, new, old))
    return True


def by_exact_ages(specs: list[Any], story: Callable[[LiveCluster], Any]) -> None:
    """Have a story happen, to a cluster in which no two ages are equal but those that are."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(replica_set, "magnitude", float)
        running(specs, story)


def check_landing(specs: list[Any], releases: list[list[Document]]) -> None:
    """Plan and apply manifests, several times over."""
    assume(len(releases) == 1 or not is_open(releases))

    async def story(cluster: LiveCluster) -> None:
        await cluster.apply(CLASSES)
        await cluster.settle()
        before = await snapshot(cluster)
        for manifests in releases:
            expected = planned(before, manifests)
            assert await refusals(cluster, manifests) == expected.pop("refused")
            if not expected:
                return
            await cluster.settle()
            before = await snapshot(cluster)
            assert found_in(before) == {k: expected[k] for k in ("placed", "rollouts")}
            # What was said of a pod when it was last tried may not be so any more; of how things
            # are now, a plan of nothing tells.
            assert planned(before, []) == expected | {"refused": []}

    by_exact_ages(specs, story)


def check_under_way(specs: list[Any], releases: list[list[Document]], after_s: int) -> None:
    """Plan nothing, so many seconds after the last manifests were applied, and wait."""
    assume(not is_open(releases))

    async def story(cluster: LiveCluster) -> None:
        await cluster.apply(CLASSES)
        for manifests in releases:
            await cluster.settle()
            if await refusals(cluster, manifests):
                return
        await asyncio.sleep(after_s)
        expected = planned(await snapshot(cluster), [])
        await cluster.settle()
        found = found_in(await snapshot(cluster))
        assert found == {k: expected[k] for k in ("placed", "rollouts")}

    by_exact_ages(specs, story)


def check_question(
    specs: list[Any],
    releases: list[list[Document]],
    act: Callable[[LiveCluster], Awaitable[None]],
    **asked: Any,
) -> None:
    """Plan what happens to a cluster besides the last manifests, and have it happen."""
    assume(not is_open(releases))

    async def story(cluster: LiveCluster) -> None:
        await cluster.apply(CLASSES)
        *earlier, manifests = releases
        for each in earlier:
            refused = await refusals(cluster, each)
            if refused and "scale" in asked:
                return  # it may be just what is to get another size
            await cluster.settle()
        expected = planned(await snapshot(cluster), manifests, **asked)
        assert await refusals(cluster, manifests) == expected.get("refused")
        if "placed" not in expected:
            return
        await act(cluster)
        await cluster.settle()
        after = await snapshot(cluster)
        assert found_in(after) == {k: expected[k] for k in ("placed", "rollouts")}
        assert planned(after, []) == expected

    by_exact_ages(specs, story)


def check_draining(specs: list[Any], releases: list[list[Document]], n_drained: int) -> None:
    """Plan manifests and the drain of the first nodes, and do both."""
    names = tuple(spec.name for spec in specs[:n_drained])

    async def drain_all(cluster: LiveCluster) -> None:
        await cluster.settle()
        await drain(cluster, names)

    check_question(specs, releases, drain_all, drain=names)


def check_tainting(specs: list[Any], releases: list[list[Document]]) -> None:
    """Plan nothing, once a node has a taint that moves pods away from it, and wait.

    Nobody new comes to it either: who tolerates the taint for a while would come again and again.
    Of several workloads with pods there, it is chance who misses them first.
    """
    assume(not is_open(releases))
    name, taints = specs[0].name, specs[0].taints
    closed = {"key": "closed", "effect": "NoSchedule"}

    async def story(cluster: LiveCluster) -> None:
        await cluster.apply(CLASSES)
        for manifests in releases:
            if await refusals(cluster, manifests):
                return
            await cluster.settle()
        there = [pod for pod in await cluster.items(PODS) if pod["spec"].get("nodeName") == name]
        if len({maker_of(pod) for pod in there if not is_daemon(pod)}) > 1:
            return
        spec = {"taints": [*taints, CLOSING, closed]}
        await cluster.admin.patch(NODES, name, {"spec": spec})
        expected = planned(await snapshot(cluster), [])
        await cluster.settle()
        found = found_in(await snapshot(cluster))
        assert found == {k: expected[k] for k in ("placed", "rollouts")}

    by_exact_ages(specs, story)


def check_losing(specs: list[Any], manifests: list[Document]) -> None:
    """Plan the loss of a zone, and lose it.

    It has one node: of the pods of several, it is chance who is missed first.
    """
    lonely = replace(specs[0], labels={**specs[0].labels, ZONE: "lost"})

    async def lose(cluster: LiveCluster) -> None:
        await cluster.lose([lonely.name])

    check_question([lonely, *specs[1:]], [manifests, []], lose, without=("lost",))


def check_adding(specs: list[Any], manifests: list[Document], n_added: int) -> None:
    """Plan more nodes of the make of the first one, and have them."""
    model, made = specs[0], []
    for index in range(n_added):
        name = f"{model.name}-new-{index}"
        own = {"internal_ip": f"192.168.1.{index + 1}", "pod_cidr": f"10.245.{index}.0/24"}
        labels = {**model.labels, HOST: name}
        made.append(replace(model, name=name, labels=labels, unschedulable=False, **own))

    async def join(cluster: LiveCluster) -> None:
        await cluster.join(made)

    check_question(specs, [manifests, []], join, add_nodes=(NewNodes(n_added, model.name),))


def check_scaling(specs: list[Any], releases: list[list[Document]], size: int) -> None:
    """Plan manifests and another size of a workload, and do both."""
    sized = [item for each in releases for item in each if item["kind"] in SIZED]
    assume(sized)
    kind, name = sized[0]["kind"], sized[0]["metadata"]["name"]
    resource = BY_KIND[sized[0]["apiVersion"], kind]

    async def scale(cluster: LiveCluster) -> None:
        if kind == "Job":
            await cluster.admin.patch(resource, name, {"spec": {"parallelism": size}}, "default")
        else:
            change = {"spec": {"replicas": size}}
            await cluster.admin.patch(resource, name, change, "default", sub="scale")

    check_question(specs, releases, scale, scale=((f"{kind}/{name}", size),))


# Pods take 25 seconds to end, and rollouts end many, one after the other.
delays = st.integers(1, 90)

# A cluster, and perhaps what is to come to it at the same time.
asked_about = stories().map(lambda told: [*told, []][:2])
sizes = st.integers(0, 8)

few = settings(deadline=None, max_examples=10, suppress_health_check=list(HealthCheck))
many = settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))


@given(node_specs(), stories())
@many
def test_manifests_land_as_planned(specs: list[Any], releases: list[list[Document]]) -> None:
    check_landing(specs, releases)


@given(node_specs(), stories(), delays)
@many
def test_what_is_under_way_ends_as_planned(
    specs: list[Any], releases: list[list[Document]], after_s: int
) -> None:
    check_under_way(specs, releases, after_s)


@given(node_specs(), asked_about, st.integers(1, 2))
@few
def test_nodes_are_drained_as_planned(
    specs: list[Any], releases: list[list[Document]], n_drained: int
) -> None:
    check_draining(specs, releases, n_drained)


@given(node_specs(), asked_about)
@few
def test_pods_leave_a_node_for_its_taints_as_planned(
    specs: list[Any], releases: list[list[Document]]
) -> None:
    check_tainting(specs, releases)


@given(node_specs(), releases(WITH_POLICIES))
@few
def test_a_zone_is_lost_as_planned(specs: list[Any], manifests: list[Document]) -> None:
    check_losing(specs, manifests)


@given(node_specs(), releases(WITH_POLICIES), st.integers(1, 2))
@few
def test_more_nodes_give_room_as_planned(
    specs: list[Any], manifests: list[Document], n_added: int
) -> None:
    check_adding(specs, manifests, n_added)


@given(node_specs(), asked_about, sizes)
@few
def test_a_workload_is_scaled_as_planned(
    specs: list[Any], releases: list[list[Document]], size: int
) -> None:
    check_scaling(specs, releases, size)
