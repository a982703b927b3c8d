"""A pod of a higher priority class gets the room of a lesser one, as seen by kubectl."""

import pytest

from tests.e2e.test_lifecycle import pods, wait_for

pytestmark = pytest.mark.e2e

CLASS = """
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: urgent}
value: 1000
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  priorityClassName: {priority}
  terminationGracePeriodSeconds: 1
  containers: [{{name: main, image: nginx, resources: {{requests: {{cpu: "{cpu}"}}}}}}]
"""


def test_lesser_pod_makes_way(berth, tmp_path):
    berth.up("--nodes", "1")
    kubectl = berth.kubectl()

    def apply(name, text):
        path = tmp_path / name
        path.write_text(text)
        done = kubectl.run(f"kubectl apply -f {path}")
        assert done.returncode == 0, done.stderr

    [node] = kubectl.items("nodes")
    cpu = node["status"]["allocatable"]["cpu"]
    apply("class.yaml", CLASS)
    apply("lesser.yaml", POD.format(name="lesser", priority='""', cpu=cpu))
    wait_for(lambda: pods(kubectl)["lesser"]["status"]["phase"] == "Running")
    apply("urgent.yaml", POD.format(name="urgent", priority="urgent", cpu=cpu))
    wait_for(lambda: pods(kubectl)["urgent"]["status"]["phase"] == "Running")
    assert "lesser" not in pods(kubectl)
    [event] = [e for e in kubectl.items("events") if e["reason"] == "Preempted"]
    assert event["involvedObject"]["name"] == "lesser"
    assert event["message"].startswith("Preempted by pod ")
