"""Who may be trusted, asked of a whole cluster."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from assigning_pods.walkthrough import Kubectl

from tests.e2e.conftest import BERTH

pytestmark = pytest.mark.e2e

LONE = """\
apiVersion: v1
kind: Pod
metadata: {name: lone}
spec:
  nodeSelector: {topology.kubernetes.io/zone: zone-a}
  containers: [{name: main, image: nginx}]
"""


def test_audit_tells_which_placements_hang_on_labels_that_kubelets_have_set(cluster, apply, run):
    apply(LONE)
    found = json.loads(run("audit", "labels", "--output", "json"))
    [placement] = found["placements"]
    assert (placement["name"], placement["label"]) == ("lone", "topology.kubernetes.io/zone")
    nodes = {label["node"]: label for label in found["nodeLabels"]}
    assert len(nodes) == 3
    assert all(label["managers"] == ["kubelet"] and label["isSelfSet"] for label in nodes.values())
    table = run("audit", "labels")
    assert "Pod/lone" in table
    assert "node-restriction.kubernetes.io/zone" in table


NODES = """\
apiVersion: v1
kind: Node
metadata: {name: joined-1, labels: {lab: "yes"}}
status: {capacity: {cpu: 2, memory: 4Gi, pods: 10}}
---
apiVersion: v1
kind: Node
metadata: {name: joined-2}
status: {capacity: {cpu: 2, memory: 4Gi, pods: 10}}
"""


@contextmanager
def started(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"}
    process = subprocess.Popen(
        [str(BERTH), *command], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def join_command(run: Callable[..., str], *arguments: str) -> list[str]:
    name, *command = shlex.split(run("token", "create", *arguments))
    assert name == "berth"
    return command


def wait_until_joined(kubectl: Kubectl) -> None:
    for _ in range(100):
        if kubectl.run("kubectl get node joined-1 joined-2").returncode == 0:
            break
        time.sleep(0.1)
    ready = "kubectl wait --for=condition=Ready node/joined-1 node/joined-2 --timeout=30s"
    done = kubectl.run(ready)
    assert done.returncode == 0, done.stderr


def test_nodes_join_with_a_token_and_come_back_without_it(cluster, run, tmp_path):
    (tmp_path / "nodes.yaml").write_text(NODES)
    kubectl = cluster.kubectl()
    command = join_command(run, "--ttl", "10m")
    with started(command, tmp_path):
        wait_until_joined(kubectl)
    identities = sorted((tmp_path / "identities").iterdir())
    assert [path.name for path in identities] == ["joined-1.pem", "joined-2.pem"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in identities)
    token = command[command.index("--token") + 1]
    assert token.partition(".")[0] in run("token", "list")
    assert token.partition(".")[2] not in run("token", "list")
    run("token", "delete", token)
    kubectl.run("kubectl delete node joined-1 joined-2")
    with started(command, tmp_path):
        wait_until_joined(kubectl)
    kubectl.run("kubectl delete node joined-1 joined-2")


def test_a_token_that_was_taken_back_lets_no_node_in(cluster, run, tmp_path):
    (tmp_path / "nodes.yaml").write_text(NODES)
    command = join_command(run)
    run("token", "delete", command[command.index("--token") + 1])
    with started(command, tmp_path) as process:
        assert process.wait(timeout=20) == 1
        assert "error: Unauthorized" in process.stderr.read()
    assert not list((tmp_path / "identities").glob("*.pem"))


def test_a_token_of_another_group_waits_for_an_administrator_to_give_it_the_right(
    cluster, run, tmp_path
):
    (tmp_path / "nodes.yaml").write_text(NODES)
    command = join_command(run, "--groups", "system:bootstrappers:others")
    with started(command, tmp_path) as process:
        assert process.wait(timeout=20) == 1
        assert 'cannot create resource "certificatesigningrequests"' in process.stderr.read()


ENCRYPTION = """\
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - aesgcm: {keys: [{name: k1, secret: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}]}
  - identity: {}
"""


def test_secrets_are_encrypted_at_rest_from_one_start_to_the_next(berth, tmp_path):
    file = tmp_path / "encryption.yaml"
    file.write_text(ENCRYPTION)
    file.chmod(0o600)
    berth.up("--nodes", "0", "--encryption-provider-config", str(file))
    kubectl = berth.kubectl()
    made = kubectl.run("kubectl create secret generic s --from-literal=password=hunter2hunter2")
    assert made.returncode == 0
    berth.run("down")
    stored = b"".join(path.read_bytes() for path in (berth.data / "store").glob("state.db*"))
    assert b"k8s:enc:aesgcm:v1:k1:" in stored
    assert b"aHVudGVyMmh1bnRlcjI" not in stored
    berth.up()
    shown = kubectl.run("kubectl get secret s -o jsonpath={.data.password}").stdout
    assert shown == "aHVudGVyMmh1bnRlcjI="
    berth.run("down")
    refused = berth.run("up", "--detach", "--encryption-provider-config", "", check=False)
    assert refused.returncode == 1
    log = (berth.data / "logs" / "apiserver.log").read_text()
    assert "cannot decrypt secrets/default/s: none of the providers has the key" in log
