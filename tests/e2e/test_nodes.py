"""Nodes by `berth nodes`, and pods that name theirs, in a whole cluster with a real kubectl."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.e2e.conftest import BERTH, Berth
from tests.e2e.test_lifecycle import wait_for

pytestmark = pytest.mark.e2e

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  {more}
  nodeName: {node}
  containers:
  - name: nginx
    image: nginx
    resources: {{requests: {{{requests}}}}}
"""


def nodes(cluster: Berth, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a `berth nodes` command on a cluster."""
    return subprocess.run(
        [str(BERTH), "nodes", command, "--data-dir", str(cluster.data), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def named(apply):
    """Make a pod that names its node."""

    def make(name, node, *, requests="", more=""):
        apply(POD.format(name=name, node=node, requests=requests, more=more))

    return make


def pod(cluster, name):
    found = [one for one in cluster.kubectl().items("pods") if one["metadata"]["name"] == name]
    return found[0] if found else None


def phase(cluster, name):
    found = pod(cluster, name)
    return found["status"]["phase"] if found else "gone"


def of_node(cluster, name):
    return next(n for n in cluster.kubectl().items("nodes") if n["metadata"]["name"] == name)


def test_nodes_are_added_and_removed_and_a_restart_remembers(cluster):
    asked = ["extra", "--label", "disk=ssd", "--taint", "team=a:NoSchedule", "--capacity", "cpu=9"]
    assert nodes(cluster, "add", *asked).stdout == "node extra added\n"
    extra = of_node(cluster, "extra")
    assert extra["metadata"]["labels"]["disk"] == "ssd"
    assert extra["status"]["capacity"]["cpu"] == "9"
    assert {"key": "team", "value": "a", "effect": "NoSchedule"} in extra["spec"]["taints"]
    assert nodes(cluster, "add", "extra").stderr == "error: node extra is there already\n"
    cluster.kill("nodes")
    wait_for(lambda: nodes(cluster, "fail", "extra", "--how", "network").returncode == 0)
    assert nodes(cluster, "heal", "extra").stdout == "node extra is well again\n"
    assert nodes(cluster, "remove", "extra").stdout == "node extra removed\n"
    assert "extra" not in {node["metadata"]["name"] for node in cluster.kubectl().items("nodes")}
    assert nodes(cluster, "heal", "extra").stderr == "error: no node extra runs here\n"


def test_a_dead_node_starts_nothing_until_it_is_healed(cluster, named):
    nodes(cluster, "fail", "node-1")
    named("late", "node-1")
    time.sleep(1)
    assert phase(cluster, "late") == "Pending"
    nodes(cluster, "heal", "node-1")
    wait_for(lambda: phase(cluster, "late") == "Running")


@pytest.mark.slow
def test_a_pod_on_a_node_that_does_not_exist_is_not_run_and_is_collected(cluster, named):
    """If the named node does not exist, the pod will not be run, and may be deleted."""
    named("lost", "kube-01")
    began_at = time.monotonic()
    wait_for(lambda: phase(cluster, "lost") == "gone", timeout_s=100)
    # A quarantine of 40 s, looked at every 20 s.
    assert 39 < time.monotonic() - began_at < 85
    assert not cluster.kubectl().items("events --field-selector involvedObject.name=lost")


def test_a_pod_runs_if_its_node_appears_in_time(cluster, named):
    """Node names in cloud environments are not always predictable or stable."""
    named("early", "late-node")
    assert phase(cluster, "early") == "Pending"
    nodes(cluster, "add", "late-node")
    wait_for(lambda: phase(cluster, "early") == "Running")
    nodes(cluster, "remove", "late-node")


@pytest.mark.parametrize(
    ("name", "requests", "reason", "message"),
    [
        (
            "cpus",
            "cpu: '64'",
            "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 64000, used: 0, capacity: 4000",
        ),
        (
            "memory",
            "memory: 1Ti",
            "OutOfmemory",
            "Node didn't have enough resource: memory, requested: 1099511627776, used: 0, "
            "capacity: 17075011584",
        ),
    ],
)
def test_a_pod_without_room_on_its_node_fails_and_says_why(
    cluster, named, name, requests, reason, message
):
    """If the named node does not have the resources, the pod fails and its reason says why."""
    named(name, "node-3", requests=requests)
    wait_for(lambda: phase(cluster, name) == "Failed")
    status = pod(cluster, name)["status"]
    assert (status["reason"], status["message"]) == (reason, f"Pod was rejected: {message}")
    shown = cluster.kubectl().run(f"kubectl get pod {name} --no-headers").stdout.split()
    assert shown[2] == reason


def test_a_node_name_takes_precedence_over_taints_and_cordons_but_not_over_labels(cluster, named):
    """It takes precedence over the above methods for node selection: the scheduler ignores it."""
    kubectl = cluster.kubectl()
    kubectl.run("kubectl taint nodes node-2 team=a:NoSchedule")
    kubectl.run("kubectl cordon node-2")
    try:
        named("anyway", "node-2")
        wait_for(lambda: phase(cluster, "anyway") == "Running")
        named("mistaken", "node-2", more="nodeSelector: {disktype: tape}")
        wait_for(lambda: phase(cluster, "mistaken") == "Failed")
        assert pod(cluster, "mistaken")["status"]["reason"] == "NodeAffinity"
        kubectl.run("kubectl taint nodes node-2 team=a:NoExecute")
        named("repelled", "node-2")
        wait_for(lambda: phase(cluster, "repelled") in ("Failed", "gone"))
    finally:
        kubectl.run("kubectl taint nodes node-2 team-")
        kubectl.run("kubectl uncordon node-2")


def test_a_pod_keeps_the_node_that_it_names(cluster, named):
    named("settled", "node-1")
    moved = cluster.kubectl().run(
        """kubectl patch pod settled -p '{"spec":{"nodeName":"node-2"}}'"""
    )
    assert moved.returncode == 1
    assert "pod updates may not change fields other than" in moved.stderr


IMAGES = """
apiVersion: v1
kind: Pod
metadata:
  name: absent
  annotations: {kubeberth.io/life: "pull: {fails: true}"}
spec: {containers: [{name: app, image: "nginx:1.161"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: never}
spec: {containers: [{name: app, image: "nginx:9", imagePullPolicy: Never}]}
---
apiVersion: v1
kind: Pod
metadata: {name: misspelt}
spec: {containers: [{name: app, image: "busyBOX"}]}
"""


def test_pods_wait_for_their_images_and_kubectl_shows_why(cluster, apply):
    apply(IMAGES)
    kubectl = cluster.kubectl()

    def shown():
        lines = kubectl.run("kubectl get pods --no-headers").stdout.splitlines()
        return {name: (ready, why, n) for name, ready, why, n, *_ in map(str.split, lines)}

    wanted = {
        "absent": ("0/1", "ImagePullBackOff", "0"),
        "never": ("0/1", "ErrImageNeverPull", "0"),
        "misspelt": ("0/1", "InvalidImageName", "0"),
    }
    wait_for(lambda: wanted.items() <= shown().items())
    described = kubectl.run("kubectl describe pod absent").stdout
    for line in (
        'Pulling image "nginx:1.161"',
        'Back-off pulling image "nginx:1.161"',
        "Error: ImagePullBackOff",
        "docker.io/library/nginx:1.161: not found",
    ):
        assert line in described
    cluster.kill("nodes")
    kubectl.run("kubectl set image pod/absent app=nginx:1.16")
    kubectl.run("kubectl annotate pod absent kubeberth.io/life-")
    wait_for(lambda: shown()["absent"] == ("1/1", "Running", "0"))


def test_a_cluster_that_does_not_run_has_no_nodes_to_command(berth):
    said = nodes(berth, "heal", "node-1").stderr
    assert said == f"error: there is no cluster in {berth.data}: start one with `berth up`\n"


LIVES = """
apiVersion: v1
kind: Pod
metadata: {name: leaky, annotations: {kubeberth.io/life: "runs: [{for: 1s, oom: true}]"}}
spec: {containers: [{name: app, image: nginx}]}
---
apiVersion: v1
kind: Pod
metadata: {name: done, annotations: {kubeberth.io/life: "runs: [{for: 1s}]"}}
spec: {restartPolicy: Never, containers: [{name: app, image: nginx}]}
---
apiVersion: v1
kind: Pod
metadata: {name: lost-work, annotations: {kubeberth.io/life: "runs: [{for: 1s, exitCode: 3}]"}}
spec: {restartPolicy: Never, containers: [{name: app, image: nginx}]}
"""


def shown(cluster, name):
    row = cluster.kubectl().run(f"kubectl get pod {name} --no-headers").stdout.split()
    return row[1:4]


def test_pods_live_as_their_annotations_say_and_kubectl_shows_it(cluster, apply):
    apply(LIVES)
    wait_for(lambda: shown(cluster, "leaky")[1] == "CrashLoopBackOff")
    assert shown(cluster, "leaky") == ["0/1", "CrashLoopBackOff", "1"]
    status = pod(cluster, "leaky")["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["reason"] == "OOMKilled"
    wait_for(lambda: shown(cluster, "done")[1] == "Completed")
    wait_for(lambda: shown(cluster, "lost-work")[1] == "Error")
    assert (phase(cluster, "done"), phase(cluster, "lost-work")) == ("Succeeded", "Failed")
