"""Pods on nodes with NUMA nodes, seen by kubectl, `berth nodes describe`, and through kill -9."""

import json
from pathlib import Path

import pytest

from tests.e2e.test_lifecycle import wait_for

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
MACHINES = str(ROOT / "examples/topology/machines.yaml")
PODS = ROOT / "examples/topology/pods.yaml"
SCHEDULER = str(ROOT / "examples/topology/scheduler.yaml")


def describe(berth, node, *options):
    """Return what `berth nodes describe` prints of a node."""
    return berth.run_with_kubeconfig("nodes", "describe", node, *options)


def pod(kubectl, name):
    return next(item for item in kubectl.items("pods") if item["metadata"]["name"] == name)


def is_running(kubectl, name):
    return pod(kubectl, name)["status"].get("phase") == "Running"


def exclusive(name, cpus, **spec):
    """Return the command that makes a pod with CPUs of its own."""
    resources = {"limits": {"cpu": str(cpus), "memory": "1Gi"}}
    containers = [{"name": "main", "image": "pause", "resources": resources}]
    overrides = json.dumps({"spec": {"containers": containers, **spec}})
    return f"kubectl run {name} --image=pause --overrides='{overrides}'"


def test_the_example_ends_as_the_documentation_shows(berth):
    berth.up("-f", MACHINES)
    kubectl = berth.kubectl()
    assert kubectl.run(f"kubectl apply -f {PODS}").returncode == 0
    wait_for(lambda: is_running(kubectl, "trainer") and is_running(kubectl, "database"))
    wait_for(lambda: pod(kubectl, "late")["status"].get("phase") == "Failed")
    late = pod(kubectl, "late")["status"]
    assert late["reason"] == "TopologyAffinityError"
    assert late["message"].endswith("Resources cannot be allocated with Topology locality")
    wait_for(lambda: "database" in describe(berth, "worker-1"))
    drawn = describe(berth, "worker-1")
    shown = (ROOT / "docs/topology.md").read_text()
    assert drawn.partition("\n\n")[2].rpartition("\n\n")[0] in shown
    view = json.loads(describe(berth, "worker-1", "-o", "json"))
    containers = {p["name"]: p["containers"][0] for p in view["podResources"]}
    assert len(containers["database"]["cpuIds"]) == 6
    assert containers["trainer"]["devices"][0]["resourceName"] == "example.com/gpu"


def test_pods_keep_what_they_have_when_the_nodes_are_killed(berth):
    berth.up("-f", MACHINES)
    kubectl = berth.kubectl()
    for name in ("first", "second"):
        assert kubectl.run(exclusive(name, 2, nodeName="worker-1")).returncode == 0
        wait_for(lambda name=name: is_running(kubectl, name))
    wait_for(lambda: "second" in describe(berth, "worker-1"))
    assert kubectl.run("kubectl delete pod first").returncode == 0
    wait_for(lambda: "first" not in describe(berth, "worker-1"))
    before = describe(berth, "worker-1")
    berth.kill("nodes")
    assert kubectl.run(exclusive("third", 2, nodeName="worker-1")).returncode == 0
    wait_for(lambda: is_running(kubectl, "third"))
    wait_for(lambda: "third" in describe(berth, "worker-1"))
    line = next(line for line in before.splitlines() if "default/second" in line)
    assert line.partition(":")[2] in describe(berth, "worker-1")
    assert pod(kubectl, "second")["status"]["containerStatuses"][0]["restartCount"] == 0


WOULD_RATHER = {
    "nodeAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {
                "weight": 100,
                "preference": {
                    "matchFields": [
                        {"key": "metadata.name", "operator": "In", "values": ["worker-1"]}
                    ]
                },
            }
        ]
    }
}


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        pytest.param((), ("worker-1", "Failed"), id="as upstream"),
        pytest.param(
            ("--scheduler-config", SCHEDULER), ("worker-2", "Running"), id="with the plugin"
        ),
    ],
)
def test_with_the_plugin_a_pod_goes_where_it_fits_and_without_where_it_fails(
    berth, options, outcome
):
    """Both nodes have six CPUs left, but only on worker-2 do they lie together."""
    berth.up("-f", MACHINES, *options)
    kubectl = berth.kubectl()
    for name, node, cpus in (("a", "worker-1", 4), ("b", "worker-1", 4), ("c", "worker-2", 8)):
        assert kubectl.run(exclusive(name, cpus, nodeName=node)).returncode == 0
        wait_for(lambda name=name: is_running(kubectl, name))
    assert kubectl.run(exclusive("wide", 6, affinity=WOULD_RATHER)).returncode == 0
    wait_for(lambda: pod(kubectl, "wide")["status"].get("phase") in ("Running", "Failed"))
    wide = pod(kubectl, "wide")
    assert (wide["spec"]["nodeName"], wide["status"]["phase"]) == outcome
