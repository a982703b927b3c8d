"""What the scheduler of a running cluster tells about itself, and who is told."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from kubeberth.cluster.datadir import DataDir
from tests.e2e.conftest import Apply, Berth
from tests.e2e.test_lifecycle import pods, wait_for

pytestmark = pytest.mark.e2e

PODS = """
apiVersion: v1
kind: Pod
metadata: {name: fits}
spec:
  containers: [{name: main, image: nginx}]
---
apiVersion: v1
kind: Pod
metadata: {name: waits}
spec:
  nodeSelector: {disk: ssd}
  containers: [{name: main, image: nginx}]
"""


def get(berth: Berth, path: str, identity: Path | None = None) -> tuple[int, str]:
    running = DataDir(berth.data).running()
    assert running is not None
    context = ssl.create_default_context(cafile=str(berth.data / "pki/ca.crt"))
    if identity is not None:
        context.load_cert_chain(identity)
    try:
        with urllib.request.urlopen(running.scheduler + path, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def cluster_with_pods(cluster: Berth, apply: Apply) -> Berth:
    assert apply(PODS).returncode == 0
    wait_for(lambda: pods(cluster.kubectl())["fits"]["spec"].get("nodeName"))
    wait_for(lambda: pods(cluster.kubectl())["waits"]["status"].get("conditions"))
    return cluster


def test_why_asks_the_scheduler_of_the_data_folder(cluster_with_pods: Berth) -> None:
    berth = cluster_with_pods
    waits = berth.run("why", "waits").stdout
    assert "3 of 3 nodes: node(s) didn't match Pod's node affinity/selector" in waits
    assert "nodeSelector wants disk=ssd, the node has no label disk" in waits
    assert "waiting for" in waits
    fits = json.loads(berth.run("why", "fits", "-o", "json").stdout)
    assert fits["state"] == "placed"
    assert fits["at"]
    assert berth.run("why", "nobody", check=False).stderr == 'error: pods "nobody" not found\n'


def test_why_works_on_a_cluster_without_such_a_scheduler(
    cluster_with_pods: Berth, tmp_path: Path
) -> None:
    elsewhere = Berth(tmp_path / "nothing")
    kubeconfig = str(cluster_with_pods.data / "kubeconfig")
    done = elsewhere.run("why", "waits", "--kubeconfig", kubeconfig)
    assert done.stderr == ""
    assert "nodeSelector wants disk=ssd, the node has no label disk" in done.stdout
    assert "waiting for" not in done.stdout
    gone = elsewhere.run("why", "-n", "team", "x", "--kubeconfig", kubeconfig, check=False)
    assert gone.stderr == 'error: pods "x" not found in namespace team\n'


def test_probes_are_for_everybody_and_the_rest_for_those_who_may(cluster: Berth) -> None:
    assert get(cluster, "/readyz") == (200, "ok")
    assert get(cluster, "/metrics")[0] == 403
    status, text = get(cluster, "/metrics", cluster.data / "pki/admin.pem")
    assert status == 200
    assert "scheduler_pending_pods" in text
    assert get(cluster, "/metrics", cluster.data / "pki/nodes/node-1.pem")[0] == 403


def test_status_says_where_the_scheduler_is(cluster: Berth) -> None:
    running = DataDir(cluster.data).running()
    assert running is not None
    assert f"Scheduler: {running.scheduler} " in cluster.run("status").stdout
