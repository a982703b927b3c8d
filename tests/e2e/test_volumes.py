"""Claims that wait for their pod: the pod goes where a volume is, and gets it."""

import pytest

from tests.e2e.test_lifecycle import pods, wait_for

pytestmark = pytest.mark.e2e

STORAGE = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: local
  local: {path: /mnt/disk}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [%s]}]
"""
CLAIM_AND_POD = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: local
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: Pod
metadata: {name: database}
spec:
  containers: [{name: main, image: postgres}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
"""


def test_pod_with_a_waiting_claim_lands_on_the_node_of_the_volume(berth, tmp_path):
    berth.up("--nodes", "3")
    kubectl = berth.kubectl()

    def apply(text):
        path = tmp_path / "objects.yaml"
        path.write_text(text)
        done = kubectl.run(f"kubectl apply -f {path}")
        assert done.returncode == 0, done.stderr

    node = sorted(item["metadata"]["name"] for item in kubectl.items("nodes"))[-1]
    apply(CLAIM_AND_POD)
    wait_for(lambda: pods(kubectl)["database"]["status"].get("conditions"))
    assert "nodeName" not in pods(kubectl)["database"]["spec"]
    apply(STORAGE % node)
    wait_for(lambda: pods(kubectl)["database"]["spec"].get("nodeName"))
    assert pods(kubectl)["database"]["spec"]["nodeName"] == node
    [claim] = kubectl.items("persistentvolumeclaims")
    [volume] = kubectl.items("persistentvolumes")
    assert claim["spec"]["volumeName"] == "disk"
    assert volume["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
    wait_for(lambda: kubectl.items("persistentvolumeclaims")[0]["status"]["phase"] == "Bound")
    wait_for(lambda: kubectl.items("persistentvolumes")[0]["status"]["phase"] == "Bound")
    done = kubectl.run("kubectl delete pod/database pvc/data --timeout=60s")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: kubectl.items("persistentvolumes")[0]["status"]["phase"] == "Released")
