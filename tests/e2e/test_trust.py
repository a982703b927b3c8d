"""Who may be trusted, asked of a whole cluster."""

from __future__ import annotations

import json

import pytest

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
