"""Whatever a manifest says, a plan is made of it, or it is refused in a line with its file."""

from __future__ import annotations

import copy
import io
from random import Random

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.planner.clusters import (
    as_file,
    budget,
    deployment,
    pod,
    priority_class,
    template,
    workload,
    zones,
)

from kubeberth.errors import BerthError
from kubeberth.planner.manifests import read
from kubeberth.planner.planning import Task, make_plan
from kubeberth.planner.questions import Questions

SPREAD = {
    "maxSkew": 1,
    "topologyKey": "topology.kubernetes.io/zone",
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "web"}},
}
CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
JOB = {"parallelism": 2, "completions": 3, "template": template("job", restartPolicy="Never")}
MANIFESTS = (
    deployment("web", 3, topologySpreadConstraints=[SPREAD], tolerations=[{"key": "a"}]),
    workload("StatefulSet", "db", 2, volumeClaimTemplates=[CLAIM]),
    workload("DaemonSet", "agent", hostNetwork=True),
    pod("lone", priorityClassName="high", nodeSelector={"a": "b"}),
    priority_class("high", 5),
    budget("web", "50%"),
    {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": JOB},
    {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": JOB}},
    },
    {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "bounds"},
        "spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]},
    },
    {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "claim"},
        "spec": CLAIM["spec"],
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}]},
    },
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}},
    zones(1)[0],
)
JUNK = (None, "", "x", "-1", "1e99", 0, -1, 7, 2**63, 1.5, True, [], {}, [None], {"a": None}, ["x"])


def places_in(value, path=()):
    """Yield the path of every value below one."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from places_in(part, (*path, key))


def spoilt(document, chance):
    """Return a document in which a value is another one, is gone, or stands under another key."""
    document = copy.deepcopy(document)
    *way, last = chance.choice(list(places_in(document)))
    parent = document
    for step in way:
        parent = parent[step]
    match chance.randrange(4):
        case 0:
            del parent[last]
        case 1 if isinstance(parent, dict):
            parent[chance.choice(["status", "spec", "metadata", "name", "x"])] = parent[last]
        case _:
            parent[last] = chance.choice(JUNK)
    return document


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**9), st.integers(1, 3))
def test_a_spoilt_manifest_is_planned_or_refused(seed, n_spoilt):
    chance = Random(seed)
    documents = list(MANIFESTS)
    for _ in range(n_spoilt):
        index = chance.randrange(len(documents))
        if isinstance(documents[index], dict) and documents[index]:
            documents[index] = spoilt(documents[index], chance)
    file = as_file(*documents)
    said = ""
    try:
        plan = make_plan(Task(zones(2), read([file]), Questions(drain=("n1",))))
    except BerthError as error:
        said = str(error)
    else:
        assert plan.came_to_rest
    assert all(line.startswith("app.yaml:") for line in said.splitlines())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_text_of_any_kind_is_read_or_refused(content):
    file = io.BytesIO(content)
    file.name = "app.yaml"
    said = ""
    try:
        read([file])
    except BerthError as error:
        said = str(error)
    assert "\n" not in said


def test_the_manifests_themselves_are_fine():
    plan = make_plan(Task(zones(2), read([as_file(*MANIFESTS)])))
    assert plan.came_to_rest
    assert yaml.safe_load(as_file(*MANIFESTS[:1]).read()) == MANIFESTS[0]
