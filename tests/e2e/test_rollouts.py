"""Rollouts of Deployments by kubectl, beyond what the recorded sessions show."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import pytest
from assigning_pods.walkthrough import FOLDER

from tests.e2e.pod_history import following, is_going, is_ready
from tests.e2e.test_lifecycle import wait_for
from tests.e2e.test_workload_sets import done

pytestmark = pytest.mark.e2e

NUMBERS = itertools.count(1)
WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  replicas: 6
  strategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 1}}
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: "nginx:1"}]
"""


@pytest.fixture
def web(cluster, tmp_path):
    """A kubectl, and the name of a Deployment of six pods that has been rolled out."""
    kubectl, name = cluster.kubectl(), f"web-{next(NUMBERS)}"
    path = tmp_path / "web.yaml"
    path.write_text(WEB.replace("NAME", name))
    done(kubectl, f"kubectl apply -f {path}")
    done(kubectl, f"kubectl rollout status deployment/{name} --timeout=30s")
    yield kubectl, name
    done(kubectl, f"kubectl delete deployment {name}")


def sets_of(kubectl, name):
    return {
        item["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: item
        for item in kubectl.items(f"replicasets -l app={name}")
    }


def images(kubectl, name):
    pods = (pod for pod in kubectl.items(f"pods -l app={name}") if not is_going(pod))
    return Counter(pod["spec"]["containers"][0]["image"] for pod in pods)


def test_any_revision_comes_back_under_the_next_number(web):
    kubectl, name = web
    for version in (2, 3):
        done(kubectl, f"kubectl set image deployment/{name} main=nginx:{version}")
        done(kubectl, f"kubectl annotate deployment/{name} kubernetes.io/change-cause=v{version}")
        done(kubectl, f"kubectl rollout status deployment/{name} --timeout=30s")
    done(kubectl, f"kubectl rollout undo deployment/{name} --to-revision=1")
    done(kubectl, f"kubectl rollout status deployment/{name} --timeout=30s")
    assert images(kubectl, name) == {"nginx:1": 6}
    assert sorted(sets_of(kubectl, name)) == ["2", "3", "4"]
    history = done(kubectl, f"kubectl rollout history deployment/{name}")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["2", "3", "4"]
    shown = done(kubectl, f"kubectl rollout history deployment/{name} --revision=3")
    assert "nginx:3" in shown


def test_changes_to_a_paused_deployment_are_rolled_out_together(web):
    kubectl, name = web
    done(kubectl, f"kubectl rollout pause deployment/{name}")
    done(kubectl, f"kubectl set image deployment/{name} main=nginx:2")
    done(kubectl, f"kubectl set resources deployment/{name} --requests=cpu=10m")
    done(kubectl, f"kubectl scale deployment/{name} --replicas=4")
    wait_for(lambda: images(kubectl, name) == {"nginx:1": 4})
    assert len(sets_of(kubectl, name)) == 1
    done(kubectl, f"kubectl rollout resume deployment/{name}")
    done(kubectl, f"kubectl rollout status deployment/{name} --timeout=30s")
    assert images(kubectl, name) == {"nginx:2": 4}
    assert sorted(sets_of(kubectl, name)) == ["1", "2"]


def test_a_restart_replaces_every_pod_within_its_bounds(web, tmp_path):
    kubectl, name = web
    before = {pod["metadata"]["uid"] for pod in kubectl.items(f"pods -l app={name}")}
    with following(kubectl, f"app={name}", tmp_path) as history:
        wait_for(lambda: len(list(history.moments)) >= 6)
        done(kubectl, f"kubectl rollout restart deployment/{name}")
        done(kubectl, f"kubectl rollout status deployment/{name} --timeout=30s")
    for pods in list(history.moments)[5:]:
        staying = [pod for pod in pods.values() if not is_going(pod)]
        assert len(staying) <= 8
        assert sum(map(is_ready, staying)) >= 5
    pods = [pod for pod in kubectl.items(f"pods -l app={name}") if not is_going(pod)]
    assert not before & {pod["metadata"]["uid"] for pod in pods}


def test_a_template_that_cannot_run_leaves_the_old_pods_and_is_undone(web):
    kubectl, name = web
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"disk": "none"}}}}}
    done(kubectl, f"kubectl patch deployment {name} -p '{json.dumps(nowhere)}'")
    stuck = kubectl.run(f"kubectl rollout status deployment/{name} --timeout=2s")
    assert stuck.returncode == 1
    assert "timed out waiting for the condition" in stuck.stderr
    # Scaled amid the rollout, each set gets its share: the old one keeps serving.
    done(kubectl, f"kubectl scale deployment/{name} --replicas=12")
    wait_for(
        lambda: (
            sum(is_ready(pod) for pod in kubectl.items(f"pods -l app={name}")) >= 8
            and sum(item["spec"]["replicas"] for item in sets_of(kubectl, name).values()) == 14
        )
    )
    done(kubectl, f"kubectl rollout undo deployment/{name}")
    done(kubectl, f"kubectl rollout status deployment/{name} --timeout=30s")
    assert len([pod for pod in kubectl.items(f"pods -l app={name}") if is_ready(pod)]) >= 12


def test_caches_and_web_servers_stay_pairs_when_a_node_is_drained(cluster):
    kubectl = cluster.kubectl()
    for file in ("redis-cache", "web-server"):
        done(kubectl, f"kubectl apply -f {FOLDER / file}.yaml")
        done(kubectl, f"kubectl rollout status deployment/{file} --timeout=30s")

    def pairs():
        """How many caches and web servers run on each node."""
        counts = {"store": Counter(), "web-store": Counter()}
        for pod in kubectl.items("pods -l 'app in (store,web-store)'"):
            if is_ready(pod) and not is_going(pod):
                counts[pod["metadata"]["labels"]["app"]][pod["spec"]["nodeName"]] += 1
        return counts

    all_nodes = {"node-1": 1, "node-2": 1, "node-3": 1}
    wait_for(lambda: pairs() == {"store": all_nodes, "web-store": all_nodes})
    done(kubectl, "kubectl drain node-2 --timeout=40s")
    left = {"node-1": 1, "node-3": 1}
    wait_for(lambda: pairs() == {"store": left, "web-store": left})
    waiting = [pod for pod in kubectl.items("pods") if pod["status"]["phase"] == "Pending"]
    apps = Counter(pod["metadata"]["labels"].get("app") for pod in waiting)
    assert (apps["store"], apps["web-store"]) == (1, 1)
    done(kubectl, "kubectl uncordon node-2")
    wait_for(lambda: pairs() == {"store": all_nodes, "web-store": all_nodes})
    done(kubectl, "kubectl delete deployment redis-cache web-server")


def test_jobs_and_cron_jobs_are_made_and_waited_for(cluster):
    kubectl = cluster.kubectl()
    done(kubectl, "kubectl create job good --image=busybox -- true")
    done(kubectl, "kubectl wait --for=condition=complete job/good --timeout=20s")
    done(kubectl, "kubectl create job bad --image=busybox -- false")
    done(kubectl, """kubectl patch job bad -p '{"spec":{"backoffLimit":0}}'""")
    done(kubectl, "kubectl wait --for=condition=failed job/bad --timeout=30s")
    done(kubectl, "kubectl create cronjob nightly --image=busybox --schedule='0 3 * * *' -- true")
    done(kubectl, "kubectl create job now --from=cronjob/nightly")
    done(kubectl, "kubectl wait --for=condition=complete job/now --timeout=20s")
    assert done(kubectl, "kubectl get cronjob nightly --no-headers").split()[-2] == "<none>"
    done(kubectl, "kubectl delete cronjob nightly")
    done(kubectl, "kubectl wait --for=delete job/now --timeout=20s")


def test_an_autoscaler_finds_its_deployment(web):
    kubectl, name = web
    done(kubectl, f"kubectl autoscale deployment {name} --min=2 --max=8 --cpu=50%")
    [scaler] = (s for s in kubectl.items("hpa") if s["metadata"]["name"] == name)
    assert scaler["spec"]["scaleTargetRef"]["name"] == name
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 8)
    done(kubectl, f"kubectl delete hpa {name}")
