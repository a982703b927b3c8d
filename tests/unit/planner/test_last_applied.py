"""A manifest that is applied again takes away what it has said, and leaves what others have."""

from __future__ import annotations

import copy
import json

from tests.unit.planner.clusters import as_file, deployment, plan, pod, where, zones

from kubeberth.api.scheme import DEPLOYMENTS
from kubeberth.planner.last_applied import LAST_APPLIED
from kubeberth.planner.manifests import read
from kubeberth.planner.planning import Task, carry_out


def after(applied, changed_since, applied_now):
    """Return a Deployment that was applied, was changed by others, and is applied again."""
    there = copy.deepcopy(applied)
    there["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(applied)}
    changed_since(there)
    world, _ = carry_out(Task([*zones(3), there], read([as_file(applied_now)])))
    return world.objects.document(DEPLOYMENTS, "default/web")["spec"]


def pod_of(spec):
    return spec["template"]["spec"]


def nothing(_):
    return None


def test_a_field_that_is_not_said_any_more_goes():
    first = deployment("web", 2, nodeSelector={"disk": "ssd", "tier": "gold"})
    spec = after(first, nothing, deployment("web", 2, nodeSelector={"tier": "gold"}))
    assert pod_of(spec)["nodeSelector"] == {"tier": "gold"}
    assert "nodeSelector" not in pod_of(after(first, nothing, deployment("web", 2)))


def test_a_pod_whose_gates_are_not_said_any_more_is_placed():
    first = pod("lone", schedulingGates=[{"name": "example.com/wait"}])
    there = copy.deepcopy(first)
    there["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(first)}
    assert where(plan(zones(1), first)) == {"lone": None}
    assert where(plan([*zones(1), there], pod("lone"))) == {"lone": "n1"}


def test_what_somebody_else_has_said_stays():
    def others(there):
        pod_of(there["spec"])["nodeSelector"] = {"disk": "ssd"}
        pod_of(there["spec"])["priorityClassName"] = "system-node-critical"

    spec = after(deployment("web", 2), others, deployment("web", 2, image="nginx:2"))
    assert pod_of(spec)["nodeSelector"] == {"disk": "ssd"}
    assert pod_of(spec)["priorityClassName"] == "system-node-critical"
    assert pod_of(spec)["containers"][0]["image"] == "nginx:2"


def test_the_size_that_others_gave_stays_unless_the_manifest_had_one():
    def scaled(there):
        there["spec"]["replicas"] = 5

    without = deployment("web", 0)
    del without["spec"]["replicas"]
    assert after(without, scaled, without)["replicas"] == 5
    assert after(deployment("web", 2), scaled, without)["replicas"] == 1


def test_a_container_that_is_not_said_any_more_goes():
    first = deployment("web", 2)
    pod_of(first["spec"])["containers"].append({"name": "second", "image": "log"})
    spec = after(first, nothing, deployment("web", 2))
    assert [container["name"] for container in pod_of(spec)["containers"]] == ["c"]


def test_another_strategy_takes_the_place_of_what_was_filled_in():
    spec = after(deployment("web", 2), nothing, deployment("web", 2, strategy={"type": "Recreate"}))
    assert spec["strategy"] == {"type": "Recreate"}


def test_an_annotation_that_is_no_manifest_counts_for_nothing():
    there = deployment("web", 2)
    there["metadata"]["annotations"] = {LAST_APPLIED: "{"}
    assert plan([*zones(3), there], deployment("web", 3)).n_placed == 1
