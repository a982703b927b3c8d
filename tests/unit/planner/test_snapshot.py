"""What of a cluster goes into a snapshot, and what becomes of names."""

from __future__ import annotations

import msgspec
from tests.unit.planner.clusters import as_file, budget, deployment, node, pod, workload, zones

from kubeberth.planner.anonymous import anonymised
from kubeberth.planner.kinds import TYPES
from kubeberth.planner.manifests import read
from kubeberth.planner.planning import Task, default_rules, load, make_plan
from kubeberth.planner.snapshot import reduced
from kubeberth.planner.world import World

SECRET = "hunter2"


def snapshot_of(*documents):
    """Return the snapshot of a cluster with some objects, as they are once everything runs."""
    world = World(default_rules(), now=1_800_000_000)
    load(world, documents)
    world.settle()
    return [
        reduced(resource, world.objects.document(resource, item.metadata.key))
        for resource in TYPES
        for item in world.objects.all(resource)
    ]


def with_secrets(document):
    """Return a workload that says things which are nobody's business."""
    container = document["spec"]["template"]["spec"]["containers"][0]
    container |= {
        "env": [{"name": "PASSWORD", "value": SECRET}],
        "command": ["run", SECRET],
        "args": [SECRET],
    }
    document["metadata"]["annotations"] = {"team.example.com/note": SECRET}
    document["spec"]["template"]["metadata"]["annotations"] = {"token": SECRET}
    return document


def test_nothing_that_is_secret_is_in_a_snapshot():
    found = snapshot_of(
        *zones(2),
        with_secrets(deployment("web", 2)),
        with_secrets(workload("StatefulSet", "db", 1)),
        with_secrets(workload("DaemonSet", "agent")),
    )
    assert {"Deployment", "ReplicaSet", "ControllerRevision", "Pod"} <= {d["kind"] for d in found}
    assert SECRET.encode() not in msgspec.json.encode(found)


def test_a_snapshot_stays_as_it_is_when_it_is_taken_up_again():
    taken = snapshot_of(*zones(2), deployment("web", 3), workload("StatefulSet", "db", 2))
    assert make_plan(Task(taken)).pods == ()


def test_a_manifest_that_is_applied_already_changes_nothing_in_a_snapshot():
    web = with_secrets(deployment("web", 3))
    taken = snapshot_of(*zones(2), web)
    found = make_plan(Task(taken, read([as_file(web)])))
    assert (found.pods, found.workloads[0].placed) == ((), 3)


def test_a_rollout_in_a_snapshot_goes_through():
    taken = snapshot_of(*zones(2), deployment("web", 4), workload("StatefulSet", "db", 2))
    changed = deployment("web", 4, image="nginx:2"), workload("StatefulSet", "db", 2, image="pg:2")
    found = make_plan(Task(taken, read([as_file(*changed)])))
    assert [(w.placed, w.rollout) for w in found.workloads] == [(4, ""), (2, "")]
    assert len(found.pods) == 6
    assert found.is_good


def test_names_become_others_and_stay_equal_where_they_were_equal():
    taken = snapshot_of(
        *zones(2),
        deployment("payments", 2, nodeSelector={"team.example.com/pool": "gold"}),
        workload("StatefulSet", "ledger", 2),
        budget("payments", 1),
        node("payments-only", **{"team.example.com/pool": "gold"}),
        pod("intern", node_name="n1"),
    )
    hidden = anonymised(taken)
    text = msgspec.json.encode(hidden).decode()
    for name in ("payments", "ledger", "gold", "team.example.com", "intern"):
        assert name not in text
    before, after = ([(d["kind"], d["metadata"]["name"]) for d in docs] for docs in (taken, hidden))
    assert len(set(zip(before, after, strict=True))) == len(set(before)) == len(set(after))
    names = {d["metadata"]["name"] for d in hidden if d["kind"] == "Pod"}
    assert {"set-1-0", "set-1-1"} <= names
    assert anonymised(taken) == hidden
