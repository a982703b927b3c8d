"""What the scheduler of a running cluster tells about itself, and who is told."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from kubeberth.api.yaml import parse
from kubeberth.cluster.datadir import DataDir
from tests.e2e.conftest import BERTH, Apply, Berth
from tests.e2e.test_lifecycle import pods, wait_for

ROOT = Path(__file__).resolve().parents[2]

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


PICKY = """
apiVersion: v1
kind: Pod
metadata: {name: picky}
spec:
  nodeSelector: {speed: fast}
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
    gone = berth.run("why", "fitz", check=False)
    there_is = "not found in namespace default; did you mean fits?"
    assert gone.stderr == f'error: pods "fitz" {there_is}\n'


def test_who_does_what_why_suggests_sees_the_pod_placed(cluster_with_pods: Berth) -> None:
    berth, kubectl = cluster_with_pods, cluster_with_pods.kubectl()
    found = json.loads(berth.run("why", "waits", "-o", "json").stdout)
    assert found["conflict"]["rules"] == [{"text": "nodeSelector disk=ssd", "nodes": 0}]
    label = next(r for r in found["remedies"] if r["kinds"] == ["label-node"])
    (command,) = label["commands"]
    done = kubectl.run(command)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: pods(kubectl)["waits"]["spec"].get("nodeName") == label["node"])
    assert kubectl.run(f"kubectl label node {label['node']} disk-").returncode == 0
    assert kubectl.run("kubectl delete pod waits --now").returncode == 0


def test_a_pod_that_cannot_be_changed_is_replaced_as_suggested(
    cluster_with_pods: Berth, apply: Apply
) -> None:
    berth = cluster_with_pods
    assert apply(PICKY).returncode == 0
    wait_for(lambda: pods(berth.kubectl())["picky"]["status"].get("conditions"))
    found = json.loads(berth.run("why", "picky", "-o", "json").stdout)
    softer = next(r for r in found["remedies"] if r["kinds"] == ["soften-node-selector"])
    (command,) = softer["commands"]
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, "KUBECONFIG": str(berth.data / "kubeconfig")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wait_for(lambda: pods(berth.kubectl())["picky"]["spec"].get("nodeName"))


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


def test_the_books_are_compared_and_dumped_on_a_signal(cluster_with_pods: Berth) -> None:
    log = cluster_with_pods.data / "logs/scheduler.log"
    os.kill(cluster_with_pods.pids()["scheduler"], signal.SIGUSR2)
    wait_for(lambda: "dump of scheduling queue" in log.read_text())
    text = log.read_text()
    assert "cache comparer finished mismatches=0" in text
    assert "default/waits" in text[text.index("dump of scheduling queue") :]


def test_what_controllers_have_to_do_is_dumped_on_a_signal(cluster: Berth) -> None:
    log = cluster.data / "logs/controllers.log"
    os.kill(cluster.pids()["controllers"], signal.SIGUSR2)
    wait_for(lambda: "dump of work queues finished" in log.read_text())
    assert "'deployments.apps': " in log.read_text()


def test_the_manifests_to_deploy_it_grant_all_that_it_needs(cluster: Berth, tmp_path: Path) -> None:
    kubectl = cluster.kubectl()
    done = kubectl.run(f"kubectl apply -f {ROOT / 'deploy'}")
    assert done.returncode == 0, done.stderr
    token = kubectl.run("kubectl create token -n kube-system berth-scheduler").stdout.strip()
    maps = {m["metadata"]["name"]: m for m in kubectl.items("configmaps -n kube-system")}
    config = maps["berth-scheduler"]["data"]["scheduler.yaml"]
    (tmp_path / "scheduler.yaml").write_text(config)
    (tmp_path / "token").write_text(token)
    document = parse((cluster.data / "kubeconfig").read_bytes())
    document["users"][0]["user"] = {"tokenFile": "token"}
    (tmp_path / "kubeconfig").write_text(json.dumps(document))
    command = [str(BERTH), "scheduler", "--kubeconfig", str(tmp_path / "kubeconfig")]
    command += ["--config", str(tmp_path / "scheduler.yaml"), "--secure-port", "0"]
    log = tmp_path / "log"
    with log.open("wb") as errors:
        scheduler = subprocess.Popen([*command, "--log-format", "json"], stderr=errors)
    try:
        wait_for(lambda: "successfully acquired lease" in log.read_text())
        (tmp_path / "pod.yaml").write_text(
            PODS.replace("spec:\n", "spec:\n  schedulerName: berth\n")
            .replace("fits", "theirs")
            .replace("waits", "stays")
        )
        kubectl.run(f"kubectl apply -f {tmp_path / 'pod.yaml'}")
        wait_for(lambda: pods(kubectl)["theirs"]["status"]["phase"] == "Running")
        wait_for(lambda: pods(kubectl)["stays"]["status"].get("conditions"))
        reasons = {e["reason"] for e in kubectl.items("events") if "theirs" in e["message"]}
        assert "Scheduled" in reasons
    finally:
        scheduler.terminate()
        assert scheduler.wait(10) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line for line in lines if "forbidden" in line["msg"]] == []
    decided = {line["pod"]: line for line in lines if line["logger"].endswith("decisions")}
    assert decided["default/theirs"]["node"]
    assert "didn't match" in decided["default/stays"]["reason"]
