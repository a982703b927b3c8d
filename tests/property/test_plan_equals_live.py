"""What a plan says is what happens: the same manifests, planned and then applied.

The live cluster is the real one in virtual time (tests/live_cluster.py). Equal is what is on each
node of each workload, what is pending and why, and how far rollouts get. Both break ties alike, so
that nothing but the last letters of names may differ.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.live_cluster import LiveCluster, running
from tests.property.planned_worlds import CLASSES, node_specs, releases
from tests.unit.planner.clusters import as_file

from kubeberth.api.scheme import DEPLOYMENTS, PODS
from kubeberth.placement.profile import default_profile
from kubeberth.placement.ties import Shuffled
from kubeberth.planner.kinds import TYPES
from kubeberth.planner.manifests import read
from kubeberth.planner.planning import Task, carry_out
from kubeberth.planner.snapshot import as_json
from kubeberth.planner.world import Rules

Document = dict[str, Any]
Shape = dict[str, Any]

PROFILE = default_profile()
RULES = Rules({PROFILE.name: PROFILE}, Shuffled(0))


def shape_of(pods: list[Document], deployments: list[Document]) -> Shape:
    """Return what is to be equal: who is where, who waits and why, how far rollouts got."""
    placed: Counter[str] = Counter()
    for pod in pods:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            continue
        node = pod["spec"].get("nodeName") or "pending"
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


def image_of(pod: Document) -> str:
    image: str = pod["spec"]["containers"][0]["image"]
    return image


def planned(cluster: list[Document], manifests: list[Document]) -> Shape:
    """Return what a plan makes of a cluster and manifests."""
    world, _ = carry_out(Task(cluster, read([as_file(*manifests)]), rules=RULES))
    pods = [as_json(pod) for pod in world.objects.all(PODS)]
    deployments = [as_json(item) for item in world.objects.all(DEPLOYMENTS)]
    messages = [f"{maker_of(as_json(w.pod))}: {w.message}" for w in world.placing.waiting]
    return shape_of(pods, deployments) | {"messages": sorted(messages)}


def found_in(cluster: list[Document]) -> Shape:
    """Return what is so in a cluster."""
    return shape_of(
        [item for item in cluster if item["kind"] == PODS.kind],
        [item for item in cluster if item["kind"] == DEPLOYMENTS.kind],
    )


async def snapshot(cluster: LiveCluster) -> list[Document]:
    return [item for resource in TYPES for item in await cluster.items(resource)]


@given(node_specs(), st.lists(releases(), min_size=1, max_size=3))
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_manifests_land_as_planned(specs: list[Any], steps: list[list[Document]]) -> None:
    async def story(cluster: LiveCluster) -> None:
        await cluster.apply(CLASSES)
        await cluster.settle()
        before = await snapshot(cluster)
        for manifests in steps:
            expected = planned(before, manifests)
            await cluster.apply(manifests)
            await cluster.settle()
            before = await snapshot(cluster)
            assert found_in(before) == {k: expected[k] for k in ("placed", "rollouts")}
            # What was said of a pod when it was last tried may not be so any more; of how things
            # are now, a plan of nothing tells.
            assert planned(before, []) == expected

    running(specs, story)
