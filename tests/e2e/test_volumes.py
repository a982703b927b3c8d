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


SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  podManagementPolicy: Parallel
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      topologySpreadConstraints:
      - topologyKey: topology.kubernetes.io/zone
        maxSkew: 1
        whenUnsatisfiable: DoNotSchedule
        labelSelector: {matchLabels: {app: db}}
      containers: [{name: main, image: postgres}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      resources: {requests: {storage: 1Gi}}
"""


@pytest.fixture
def apply(berth, tmp_path):
    def apply(text):
        path = tmp_path / "objects.yaml"
        path.write_text(text)
        done = berth.kubectl().run(f"kubectl apply -f {path}")
        assert done.returncode == 0, done.stderr

    return apply


def zones(kubectl):
    return {
        item["metadata"]["name"]: item["metadata"]["labels"]["topology.kubernetes.io/zone"]
        for item in kubectl.items("nodes")
    }


def test_claims_of_a_set_get_volumes_in_the_zones_of_its_pods_and_keep_them(berth, apply):
    berth.up("--nodes", "6", "--zones", "3")
    kubectl = berth.kubectl()
    [standard] = kubectl.items("storageclasses")
    assert standard["metadata"]["name"] == "standard"
    apply(SET)
    done = kubectl.run("kubectl rollout status statefulset db --timeout=30s")
    assert done.returncode == 0, done.stderr
    zone_of = zones(kubectl)
    before = {name: zone_of[pod["spec"]["nodeName"]] for name, pod in pods(kubectl).items()}
    assert sorted(before.values()) == ["zone-a", "zone-b", "zone-c"]
    assert kubectl.run("kubectl delete pod db-0 db-1 db-2").returncode == 0
    done = kubectl.run("kubectl rollout status statefulset db --timeout=30s")
    assert done.returncode == 0, done.stderr
    after = {name: zone_of[pod["spec"]["nodeName"]] for name, pod in pods(kubectl).items()}
    assert after == before
    assert kubectl.run("kubectl delete statefulset db").returncode == 0
    wait_for(lambda: not kubectl.items("persistentvolumeclaims"))
    wait_for(lambda: not kubectl.items("persistentvolumes"))


def test_a_default_class_that_was_taken_away_for_another_one_stays_away(berth, apply):
    berth.up()
    kubectl = berth.kubectl()
    assert kubectl.run("kubectl delete storageclass standard").returncode == 0
    apply(STORAGE % "node-1")
    berth.run("down")
    berth.up()
    assert [item["metadata"]["name"] for item in kubectl.items("storageclasses")] == ["local"]


def test_pod_with_a_waiting_claim_lands_on_the_node_of_the_volume(berth, apply):
    berth.up("--nodes", "3")
    kubectl = berth.kubectl()
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
