"""Starting, stopping, starting again; dying and coming back."""

import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import BERTH, Berth

pytestmark = pytest.mark.e2e


def wait_for(condition, *, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.05)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pods(kubectl):
    return {pod["metadata"]["name"]: pod for pod in kubectl.items("pods")}


def manifests(count):
    pod = """
apiVersion: v1
kind: Pod
metadata: {{name: p{number}}}
spec:
  containers: [{{name: main, image: nginx}}]
"""
    return "---".join(pod.format(number=number) for number in range(count))


def test_what_was_in_a_cluster_is_there_after_a_restart(berth):
    berth.up("--nodes", "2", "--zones", "1")
    kubectl = berth.kubectl()
    assert kubectl.run("kubectl create configmap kept --from-literal=a=b").returncode == 0
    assert kubectl.run("kubectl create deployment web --image=nginx").returncode == 0
    assert kubectl.run("kubectl rollout status deployment/web --timeout=20s").returncode == 0
    before = pods(kubectl)
    berth.run("down")
    berth.up()
    assert kubectl.items("configmap kept")[0]["data"] == {"a": "b"}
    assert len(kubectl.items("nodes")) == 2
    assert pods(kubectl).keys() == before.keys()


def test_a_smaller_wish_removes_the_nodes_that_are_left_out(berth):
    berth.up("--nodes", "3")
    berth.run("down")
    assert "removed     node-3" in berth.up("--nodes", "2")
    names = {node["metadata"]["name"] for node in berth.kubectl().items("nodes")}
    assert names == {"node-1", "node-2"}


def test_clusters_that_are_started_together_all_come_up(tmp_path):
    clusters = [Berth(tmp_path / name) for name in ("one", "two", "three")]
    try:
        with ThreadPoolExecutor() as pool:
            said = list(pool.map(lambda cluster: cluster.up("--nodes", "1"), clusters))
        assert all("kubeberth is up" in text for text in said)
        assert all(len(cluster.pids()) == 5 for cluster in clusters)
    finally:
        for cluster in clusters:
            cluster.run("down")


def test_interrupting_leaves_no_process_behind(berth):
    command = [BERTH, "up", "--data-dir", berth.data, "--port", "0"]
    up = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: (berth.data / "running.json").exists() and len(berth.pids()) == 5)
        pids = berth.pids()
    finally:
        up.send_signal(signal.SIGINT)
        said, _ = up.communicate(timeout=20)
    assert up.returncode == 0, said
    wait_for(lambda: not any(map(is_alive, pids.values())))


def test_a_killed_supervisor_takes_its_processes_along(berth):
    berth.up()
    pids = berth.pids()
    os.kill(pids["supervisor"], signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, pids.values())))


@pytest.mark.parametrize("process", ["apiserver", "scheduler", "controllers", "nodes"])
def test_killing_a_process_during_apply_loses_nothing(berth, tmp_path, process):
    berth.up()
    kubectl = berth.kubectl()
    (tmp_path / "pods.yaml").write_text(manifests(100))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "KUBECONFIG": str(kubectl.kubeconfig),
    }
    with subprocess.Popen(
        [kubectl.program, "apply", "-f", tmp_path / "pods.yaml"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as apply:
        acknowledged = [apply.stdout.readline() for _ in range(20)]
        berth.kill(process)
        acknowledged += apply.stdout.readlines()
    names = {line.split()[0].removeprefix("pod/") for line in acknowledged if "created" in line}
    assert len(names) >= 20

    def all_are_placed():
        if kubectl.run("kubectl get pods").returncode:
            return False
        found = pods(kubectl)
        return names <= found.keys() and all(
            found[name]["spec"].get("nodeName") and found[name]["status"]["phase"] == "Running"
            for name in names
        )

    wait_for(all_are_placed, timeout_s=30)
    assert berth.run("status").returncode == 0


def test_a_port_in_use_is_one_clear_line(berth):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = berth.run("up", "--port", str(port), check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: port {port} of 127.0.0.1 is in use: stop what listens")
    assert done.stderr.count("\n") == 1


def test_a_foreign_folder_is_one_clear_line(berth):
    berth.data.mkdir()
    (berth.data / "thesis.txt").write_text("mine")
    done = berth.run("up", check=False)
    assert done.returncode == 1
    assert "is not empty and no kubeberth data directory" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_second_up_on_the_same_folder_is_refused(berth):
    berth.up()
    done = berth.run("up", check=False)
    assert done.returncode == 1
    assert "a cluster already runs in" in done.stderr


@pytest.mark.parametrize("command", ["status", "down", "kubeconfig"])
def test_where_no_cluster_is_the_commands_say_so(berth, command):
    done = berth.run(command, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no cluster in")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not YAML"),
        ("kind: Pod\napiVersion: v1\nmetadata: {name: x}", "Pod"),
        ("apiVersion: v1\nkind: Node\nmetadata: {}", "name"),
        ("apiVersion: v1\nkind: Node\nmetadata: {name: a}\nstatus: {capacity: {cpu: many}}", "cpu"),
    ],
    ids=["no yaml", "no node", "no name", "no quantity"],
)
def test_bad_node_manifests_are_one_clear_line(berth, tmp_path, text, message):
    (tmp_path / "nodes.yaml").write_text(text)
    done = berth.run("up", "-f", str(tmp_path / "nodes.yaml"), check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
