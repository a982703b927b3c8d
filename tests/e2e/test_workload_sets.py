"""Stateful sets and daemon sets, as seen by kubectl: drained, followed, killed."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from assigning_pods.walkthrough import FOLDER

from tests.e2e.pod_history import following, is_going, is_ready, node_of
from tests.e2e.test_lifecycle import wait_for

pytestmark = pytest.mark.e2e


def done(kubectl, command):
    found = kubectl.run(command)
    assert found.returncode == 0, f"{command}\n{found.stdout}{found.stderr}"
    return found.stdout


def test_an_ensemble_is_drained_node_by_node_and_always_has_two_members(berth, tmp_path):
    berth.up("--nodes", "3")
    kubectl = berth.kubectl()
    done(kubectl, f"kubectl apply -f {FOLDER / 'zookeeper.yaml'}")
    done(kubectl, "kubectl rollout status statefulset/zk --timeout=30s")
    before = {pod["metadata"]["uid"] for pod in kubectl.items("pods -l app=zk")}
    with following(kubectl, "app=zk", tmp_path) as history:
        wait_for(lambda: len(list(history.moments)) >= 3)
        for node in ("node-1", "node-2", "node-3"):
            done(kubectl, f"kubectl drain {node} --ignore-daemonsets --timeout=50s")
            assert kubectl.items(f"pods -l app=zk --field-selector spec.nodeName={node}") == []
            done(kubectl, f"kubectl uncordon {node}")
        done(kubectl, "kubectl rollout status statefulset/zk --timeout=30s")
    moments = list(history.moments)[2:]
    assert min(sum(map(is_ready, pods.values())) for pods in moments) == 2
    after = {pod["metadata"]["uid"] for pod in kubectl.items("pods -l app=zk")}
    assert len(after) == 3
    assert not before & after, "each of them has moved"


def test_a_daemon_follows_the_label_of_its_nodes(berth):
    berth.up("--nodes", "3")
    kubectl = berth.kubectl()

    def nodes():
        pods = kubectl.items("pods -l app=node-agent")
        return sorted(pod["spec"].get("nodeName", "") for pod in pods if not is_going(pod))

    done(kubectl, "kubectl label node node-1 node-2 disktype=ssd")
    done(kubectl, f"kubectl apply -f {FOLDER / 'node-agent.yaml'}")
    done(kubectl, "kubectl rollout status daemonset/node-agent --timeout=30s")
    assert nodes() == ["node-1", "node-2"]
    done(kubectl, "kubectl label node node-3 disktype=ssd")
    wait_for(lambda: nodes() == ["node-1", "node-2", "node-3"])
    done(kubectl, "kubectl label node node-1 disktype=hdd --overwrite")
    wait_for(lambda: nodes() == ["node-2", "node-3"])
    done(kubectl, "kubectl taint node node-2 broken=yes:NoExecute")
    wait_for(lambda: nodes() == ["node-3"])
    done(kubectl, "kubectl taint node node-2 broken-")
    wait_for(lambda: nodes() == ["node-2", "node-3"])
    done(kubectl, "kubectl drain node-2 --ignore-daemonsets --timeout=20s")
    assert nodes() == ["node-2", "node-3"], "daemons stay on cordoned nodes"


CLAIMING = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Delete}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: postgres}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      storageClassName: ""
      resources: {requests: {storage: 1Gi}}
"""
VOLUME = """
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: v{number}}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  hostPath: {{path: /data/{number}}}
"""


def test_claims_go_with_their_pod_and_with_the_set_when_asked_to(berth, tmp_path):
    berth.up("--nodes", "2")
    kubectl = berth.kubectl()
    path = tmp_path / "db.yaml"
    path.write_text(CLAIMING + "".join(VOLUME.format(number=number) for number in range(3)))

    def claims():
        return sorted(claim["metadata"]["name"] for claim in kubectl.items("pvc"))

    done(kubectl, f"kubectl apply -f {path}")
    done(kubectl, "kubectl rollout status statefulset/db --timeout=30s")
    assert claims() == ["data-db-0", "data-db-1"]
    done(kubectl, "kubectl scale statefulset db --replicas=1")
    wait_for(lambda: claims() == ["data-db-0"])
    done(kubectl, "kubectl delete statefulset db")
    wait_for(lambda: claims() == [])


def daemon_of(name, surge):
    unavailable = 0 if surge else 2
    return f"""
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: {name}}}
spec:
  updateStrategy: {{rollingUpdate: {{maxSurge: {surge}, maxUnavailable: {unavailable}}}}}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{{name: main, image: 'agent:0'}}]
"""


def stateful_set_of(name, policy):
    return f"""
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}}}
spec:
  replicas: 4
  serviceName: {name}
  podManagementPolicy: {policy}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{{name: main, image: 'agent:0'}}]
"""


SETS = {
    "statefulset/ordered": stateful_set_of("ordered", "OrderedReady"),
    "statefulset/parallel": stateful_set_of("parallel", "Parallel"),
    "daemonset/replacing": daemon_of("replacing", 0),
    "daemonset/surging": daemon_of("surging", 2),
}


def test_rollouts_are_told_undone_and_restarted(berth, tmp_path):
    berth.up("--nodes", "3")
    kubectl = berth.kubectl()
    names = ("statefulset/ordered", "daemonset/replacing")
    path = tmp_path / "sets.yaml"
    path.write_text("".join(SETS[name] for name in names))
    done(kubectl, f"kubectl apply -f {path}")

    def is_made_of(image):
        for name in names:
            done(kubectl, f"kubectl rollout status {name} --timeout=40s")
        pods = [pod for pod in kubectl.items("pods") if not is_going(pod)]
        return {pod["spec"]["containers"][0]["image"] for pod in pods} == {image}

    def revisions(name):
        lines = done(kubectl, f"kubectl rollout history {name}").splitlines()[2:]
        return [int(line.split()[0]) for line in lines if line]

    assert is_made_of("agent:0")
    done(kubectl, f"kubectl set image {' '.join(names)} main=agent:1")
    assert is_made_of("agent:1")
    assert [revisions(name) for name in names] == [[1, 2]] * 2
    for name in names:
        before = done(kubectl, f"kubectl rollout history {name} --revision=1")
        assert "agent:0" in before
        done(kubectl, f"kubectl rollout undo {name}")
    assert is_made_of("agent:0")
    assert [revisions(name) for name in names] == [[2, 3]] * 2
    old = {pod["metadata"]["uid"] for pod in kubectl.items("pods")}
    for name in names:
        done(kubectl, f"kubectl rollout restart {name}")
    assert is_made_of("agent:0")
    assert not old & {pod["metadata"]["uid"] for pod in kubectl.items("pods")}


def kill_controllers(berth, chance):
    """Kill the controllers at a random moment, as soon as they are there."""

    def kill():
        try:
            berth.kill("controllers")
        except (KeyError, ProcessLookupError):
            return False  # dead, or not known to be back yet
        return True

    time.sleep(chance.uniform(0, 0.5))
    wait_for(kill)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_controllers_that_are_killed_make_no_pod_twice_and_leave_none_behind(berth, tmp_path, seed):
    chance = random.Random(seed)
    berth.up("--nodes", "6")
    kubectl = berth.kubectl()
    path = tmp_path / "sets.yaml"
    path.write_text("".join(SETS.values()))
    with (
        following(kubectl, "app=ordered", tmp_path) as ordered,
        following(kubectl, "app=parallel", tmp_path) as parallel,
        following(kubectl, "app=replacing", tmp_path) as replacing,
        following(kubectl, "app=surging", tmp_path) as surging,
    ):
        done(kubectl, f"kubectl apply -f {path}")
        for version in range(1, 4):
            kill_controllers(berth, chance)
            done(kubectl, f"kubectl set image {' '.join(SETS)} main=agent:{version}")
            kill_controllers(berth, chance)
        for name in SETS:
            done(kubectl, f"kubectl rollout status {name} --timeout=60s")
    for history in (ordered, parallel):
        for pods in history.moments:
            names = Counter(pod["metadata"]["name"] for pod in pods.values())
            assert max(names.values(), default=0) <= 1, "an ordinal is there twice"
            assert len(names) <= 4
    for history, most in ((replacing, 1), (surging, 2)):
        for pods in history.moments:
            staying = Counter(node_of(pod) for pod in pods.values() if not is_going(pod))
            assert max(staying.values(), default=0) <= most, staying
    check_ownership(kubectl)
    pods = [pod for pod in kubectl.items("pods") if not is_going(pod)]
    assert Counter(pod["metadata"]["labels"]["app"] for pod in pods) == {
        "ordered": 4,
        "parallel": 4,
        "replacing": 6,
        "surging": 6,
    }
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"agent:3"}


def check_ownership(kubectl):
    """Every pod and every revision belongs to a set that is there."""
    owners = {item["metadata"]["uid"] for item in kubectl.items("statefulsets,daemonsets")}
    for item in kubectl.items("pods,controllerrevisions"):
        controllers = [r["uid"] for r in item["metadata"]["ownerReferences"] if r["controller"]]
        assert set(controllers) <= owners, item["metadata"]["name"]
        assert len(controllers) == 1, item["metadata"]["name"]
