"""A disruption budget holds up a drain, as seen by kubectl, for as long as it has to."""

import pytest

from tests.e2e.test_lifecycle import wait_for

pytestmark = pytest.mark.e2e

OBJECTS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: nginx}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec:
  minAvailable: 2
  selector: {matchLabels: {app: web}}
"""


def test_pods_may_go_when_their_budget_has_been_loosened(berth, tmp_path):
    berth.up("--nodes", "2")
    kubectl = berth.kubectl()
    path = tmp_path / "objects.yaml"
    path.write_text(OBJECTS)
    assert kubectl.run(f"kubectl apply -f {path}").returncode == 0

    def status():
        [budget] = kubectl.items("poddisruptionbudgets")
        return budget.get("status", {})

    wait_for(lambda: status().get("currentHealthy") == 2)
    node = kubectl.items("pods")[0]["spec"]["nodeName"]
    held = kubectl.run(f"kubectl drain {node} --ignore-daemonsets --timeout=2s")
    assert "Cannot evict pod as it would violate the pod's disruption budget." in held.stderr
    loosened = kubectl.run("""kubectl patch pdb web -p '{"spec":{"minAvailable":1}}'""")
    assert loosened.returncode == 0, loosened.stderr
    wait_for(lambda: status().get("disruptionsAllowed") == 1)
    done = kubectl.run(f"kubectl drain {node} --ignore-daemonsets --timeout=40s")
    assert done.returncode == 0, done.stderr
