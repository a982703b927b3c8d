"""Commands of kubectl for looking around, each by the oldest and the newest that is here."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.conftest import kubectl_programs
from tests.e2e.test_kubectl_versions import older_programs

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PROGRAMS = sorted({kubectl_programs()[0], *older_programs()[1:2], *older_programs()[-1:]})


@pytest.fixture(scope="module")
def running(cluster):
    """A cluster in which a pod runs."""
    kubectl = cluster.kubectl()
    assert kubectl.run("kubectl create deployment web --image=nginx").returncode == 0
    assert kubectl.run("kubectl rollout status deployment/web --timeout=30s").returncode == 0
    return cluster


@pytest.fixture(params=PROGRAMS, ids=lambda path: Path(path).name)
def kubectl(running, request):
    return running.kubectl(request.param)


def done(kubectl, command):
    answer = kubectl.run(f"kubectl {command}")
    assert answer.returncode == 0, f"{command}: {answer.stderr}"
    return answer.stdout


def test_a_proxy_passes_requests_on(kubectl):
    environment = {"HOME": str(kubectl.home), "KUBECONFIG": str(kubectl.kubeconfig)}
    command = [kubectl.program, "proxy", "--port=0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            address = re.search(r"127\.0\.0\.1:\d+", proxy.stdout.readline())[0]
            path = f"http://{address}/api/v1/namespaces/default/pods?labelSelector=app%3Dweb"
            with urllib.request.urlopen(path, timeout=10) as answer:
                assert json.load(answer)["items"][0]["status"]["phase"] == "Running"
        finally:
            proxy.kill()


def test_a_cluster_is_dumped_with_the_logs_of_its_pods(kubectl, tmp_path):
    done(kubectl, f"cluster-info dump --output-directory={tmp_path}")
    pods = json.loads((tmp_path / "default/pods.json").read_text())["items"]
    assert {pod["metadata"]["labels"]["app"] for pod in pods} == {"web"}
    (log, *_) = (tmp_path / "default").glob("web-*/logs.txt")
    assert "container nginx is simulated by kubeberth" in log.read_text()


def test_events_of_an_object_are_told_oldest_first(kubectl):
    told = done(kubectl, "events --for deployment/web").splitlines()
    assert told[0].split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert "ScalingReplicaSet" in told[1]
    assert "Deployment/web" in told[1]


def test_a_node_is_debugged_by_a_pod_on_it(kubectl):
    told = kubectl.run("kubectl debug node/node-1 --image=busybox")
    name = re.search(r"node-debugger-node-1-\w+", told.stdout + told.stderr)[0]
    try:
        done(kubectl, f"wait --for=condition=Ready pod/{name} --timeout=20s")
        (pod,) = kubectl.items(f"pod {name}")
        assert pod["spec"]["nodeName"] == "node-1"
        attached = kubectl.run(f"kubectl attach {name}")
        assert attached.returncode == 1
        assert "is simulated by kubeberth and runs no containers" in attached.stderr
    finally:
        done(kubectl, f"delete pod {name} --wait=false")


def test_objects_are_written_by_their_paths(kubectl, tmp_path):
    path, space = tmp_path / "map.json", "/api/v1/namespaces/default/configmaps"
    path.write_text(json.dumps({"metadata": {"name": "raw"}, "data": {"a": "b"}}))
    assert json.loads(done(kubectl, f"create --raw {space} -f {path}"))["data"] == {"a": "b"}
    path.write_text(json.dumps({"metadata": {"name": "raw"}, "data": {"a": "c"}}))
    assert json.loads(done(kubectl, f"replace --raw {space}/raw -f {path}"))["data"] == {"a": "c"}
    assert json.loads(done(kubectl, f"delete --raw {space}/raw"))["status"] == "Success"


def test_a_field_is_waited_for(kubectl):
    done(kubectl, "wait --for=jsonpath={.status.readyReplicas}=1 deployment/web --timeout=10s")
    told = kubectl.run("kubectl wait --for=jsonpath={.spec.replicas}=9 deployment/web --timeout=1s")
    assert told.returncode == 1
    assert "timed out waiting for the condition on deployments/web" in told.stderr


def test_pods_on_which_nothing_runs_say_so_to_every_kubectl(kubectl):
    for command in ("exec deploy/web -- ls", "port-forward deploy/web :80"):
        told = kubectl.run(f"kubectl {command}")
        assert told.returncode == 1
        assert "is simulated by kubeberth and runs no containers" in told.stderr
