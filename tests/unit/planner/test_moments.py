"""What the objects of a cluster say of time."""

from __future__ import annotations

import pytest
from tests.unit.planner.clusters import node, pod, workload

from kubeberth.api.scheme import PODS
from kubeberth.api.workloads import seconds_of
from kubeberth.errors import InvalidObjectError
from kubeberth.planner.moments import newest
from kubeberth.planner.planning import Task, carry_out

NEW_YEAR = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T01:00:01Z"


def told(path, stamp):
    """Return an object that tells a time somewhere."""
    document = {"kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}}
    part = document
    *parents, field = path
    for key, following in zip(parents, path[1:], strict=True):
        if isinstance(key, int):
            part.append({})
            part = part[key]
        else:
            part = part.setdefault(key, [] if isinstance(following, int) else {})
    part[field] = stamp
    return document


TOLD = [
    pytest.param(("metadata", "creationTimestamp"), id="when it was made"),
    pytest.param(("status", "startTime"), id="when it started"),
    pytest.param(("status", "conditions", 0, "lastTransitionTime"), id="what changed"),
    pytest.param(("status", "conditions", 0, "lastUpdateTime"), id="what was written"),
    pytest.param(("status", "conditions", 0, "lastHeartbeatTime"), id="a sign of life"),
    pytest.param(
        ("status", "containerStatuses", 0, "state", "terminated", "finishedAt"), id="an end"
    ),
    pytest.param(("status", "disruptedPods", "web"), id="an eviction"),
]


@pytest.mark.parametrize("path", TOLD)
def test_it_is_as_late_as_what_was_told_last(path):
    earlier = told(("metadata", "creationTimestamp"), NEW_YEAR)
    assert newest([told(path, LATER), earlier]) == seconds_of(LATER)


@pytest.mark.parametrize("path", TOLD)
def test_what_is_no_time_is_told_with_its_place(path):
    place = ".".join(map(str, path)).replace(".0.", "[0].")
    with pytest.raises(InvalidObjectError) as error:
        newest([told(path, "yesterday")])
    assert str(error.value) == f'Pod "shop/web": {place}: Invalid value: "yesterday": is no time'


def test_when_a_pod_is_to_have_ended_is_yet_to_come():
    assert newest([told(("metadata", "deletionTimestamp"), NEW_YEAR)]) is None


def test_what_tells_no_times_is_of_no_time():
    odd = {"metadata": 1, "status": {"conditions": {}, "containerStatuses": [1, {"state": 2}]}}
    assert newest([{}, odd, {"status": {"conditions": [7], "disruptedPods": []}}]) is None


def test_pods_are_as_old_as_they_are_now():
    """Both of about an hour, so that their UIDs decide; when the younger came, they did not."""
    replica_set = workload("ReplicaSet", "web", 1)
    replica_set["metadata"] |= {"uid": "set", "resourceVersion": "1", "namespace": "default"}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "set"}
    pods = []
    for uid, created in (("1", NEW_YEAR), ("2", "2026-01-01T00:00:30Z")):
        each = pod("web", node_name="n1")
        each["metadata"] |= {"uid": uid, "resourceVersion": "1", "creationTimestamp": created}
        each["metadata"] |= {"ownerReferences": [{**owner, "controller": True}]}
        each["metadata"] |= {"name": f"web-{uid}", "namespace": "default"}
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": created}
        pods.append({**each, "status": {"phase": "Running", "conditions": [ready]}})
    there = node("n1")
    there["status"]["conditions"] = [
        {"type": "Ready", "status": "True", "lastHeartbeatTime": LATER}
    ]
    world, _ = carry_out(Task([there, replica_set, *pods]))
    assert [each.metadata.name for each in world.objects.all(PODS)] == ["web-2"]
