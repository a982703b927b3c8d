"""Each process of a cluster has the rights that it uses: all of these, and no more.

The audit log of a cluster at work tells what each process has asked for. What its roles allow
besides is in the tables here, with the reason why it is allowed all the same.
"""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from assigning_pods.walkthrough import FOLDER, walk

from kubeberth.apiserver.auth import bootstrap
from kubeberth.apiserver.auth.authn import SERVICE_ACCOUNT
from kubeberth.apiserver.auth.default_roles import DefaultRole
from kubeberth.controllers.supervisor import ControllerSettings, reconcilers
from kubeberth.controllers.trust.certificate_signing import CertificateSigningReconciler
from tests.e2e.conftest import BERTH, Berth

pytestmark = pytest.mark.e2e

SCHEDULER = "system:kube-scheduler"
MANAGER = "system:kube-controller-manager"
CONTROLLERS = sorted(
    {reconciler.account for reconciler in reconcilers(ControllerSettings())}
    | {CertificateSigningReconciler.account}
)
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- {level: Metadata}
"""
MORE = """\
apiVersion: v1
kind: Namespace
metadata: {name: lab}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: small}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}
  validations: [{expression: object.spec.replicas < 100}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: lab}
spec:
  minAvailable: 1
  selector: {matchLabels: {app: web}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: lab}
spec:
  replicas: 2
  revisionHistoryLimit: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: main, image: nginx}]
---
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
  storageClassName: local
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  hostPath: {path: /tmp}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk, namespace: lab}
spec:
  storageClassName: local
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: lab}
spec:
  containers: [{name: main, image: nginx}]
  volumes: [{name: disk, persistentVolumeClaim: {claimName: disk}}]
"""
SETS = """\
apiVersion: v1
kind: ResourceQuota
metadata: {name: pods, namespace: lab}
spec: {hard: {pods: "50"}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: set, namespace: lab}
spec:
  replicas: 1
  revisionHistoryLimit: 0
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}
  selector: {matchLabels: {app: set}}
  template:
    metadata: {labels: {app: set}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: nginx}]
  volumeClaimTemplates:
  - metadata: {name: disk}
    spec:
      accessModes: [ReadWriteOnce]
      resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: Pod
metadata: {name: scratch, namespace: lab}
spec:
  containers: [{name: main, image: nginx}]
  volumes:
  - name: disk
    ephemeral:
      volumeClaimTemplate:
        spec:
          accessModes: [ReadWriteOnce]
          resources: {requests: {storage: 1Gi}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: lab}
spec:
  revisionHistoryLimit: 0
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: agent}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: lab}
spec:
  ttlSecondsAfterFinished: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: busybox, command: ["true"]}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: broken-off, namespace: lab}
spec:
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: busybox, command: [sleep, "600"]}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: tick, namespace: lab}
spec:
  schedule: "@every 1s"
  successfulJobsHistoryLimit: 0
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: main, image: busybox, command: ["true"]}]
---
apiVersion: v1
kind: ReplicationController
metadata: {name: old, namespace: lab}
spec:
  replicas: 2
  selector: {app: old}
  template:
    metadata: {labels: {app: old}}
    spec:
      containers: [{name: main, image: nginx}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: lab}
spec:
  selector: {app: web}
  ports: [{port: 80}]
"""
JOINING = """\
apiVersion: v1
kind: Node
metadata: {name: joined}
"""
# What roles allow and nobody does here.
UNSEEN = {
    "in the authorizer alone: no request is made by this name": {
        "approve signers.certificates.k8s.io",
        "sign signers.certificates.k8s.io",
        *(f"change {owners}/finalizers.apps" for owners in ("deployments", "replicasets")),
        *("change statefulsets/finalizers.apps", "change daemonsets/finalizers.apps"),
        "change cronjobs/finalizers.batch",
        *("change jobs/finalizers.batch", "change replicationcontrollers/finalizers"),
        *("change services/finalizers", "change pods/finalizers"),
    },
    "of the scheduler as upstream has it: for one that is run in place of ours": {
        "create bindings",
        "create events",
        "change events",
        "create leases.coordination.k8s.io",
        "change leases.coordination.k8s.io",
        "read leases.coordination.k8s.io",
        "read deviceclasses.resource.k8s.io",
        "read resourceclaims.resource.k8s.io",
        "read resourceslices.resource.k8s.io",
        "read configmaps",
    },
    "nobody asks the scheduler for its metrics, so it need not ask who asks": {
        "create subjectaccessreviews.authorization.k8s.io",
        "create tokenreviews.authentication.k8s.io",
    },
    "preemption, see test_preemption": {"delete pods"},
    "a node that is not heard of any more, see test_lifecycle": {
        *("change nodes/status", "change pods/status"),
    },
    "pods of a node that is gone for long, see test_pod_gc": {"read nodes", "change pods/status"},
    "a volume that is released, see test_volumes": {"change persistentvolumes"},
    "a claim whose node has gone, see test_volume_provisioning": {"change persistentvolumeclaims"},
    "pods and replica sets that are adopted": {
        *("change pods", "read deployments.apps", "read replicasets.apps"),
        *(
            "read statefulsets.apps",
            "read daemonsets.apps",
            "read replicationcontrollers",
            "read jobs.batch",
        ),
    },
    "a service that loses a hundred pods, see test_endpoints": {
        "delete endpointslices.discovery.k8s.io",
    },
    "a set that is rolled back, see test_stateful_set": {"change controllerrevisions.apps"},
    "somebody has changed the published authority": {"change configmaps"},
}
RIGHTS = {"get": "read", "list": "read", "watch": "read", "patch": "change", "update": "change"}
Asked = dict[str, set[tuple[str, str]]]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Asked, list[str]]:
    """What each user of a cluster at work has asked for, and what was refused to processes."""
    folder = tmp_path_factory.mktemp("audited")
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "more.yaml").write_text(MORE)
    (folder / "sets.yaml").write_text(SETS)
    berth = Berth(folder / "cluster")
    log = folder / "audit.log"
    berth.up(
        *("-f", str(FOLDER / "nodes.yaml")),
        *("--audit-log-path", str(log), "--audit-policy-file", str(folder / "policy.yaml")),
    )
    try:
        work(berth, folder)
    finally:
        berth.run("down")
    return read(log)


def work(berth: Berth, folder: Path) -> None:
    kubectl = berth.kubectl()
    walk(kubectl, lambda line: None)
    token = berth.run_with_kubeconfig("token", "create").split()
    (folder / "nodes.yaml").write_text(JOINING)
    berth.run_with_kubeconfig("token", "create", "--ttl", "1s")
    joining = subprocess.Popen([str(BERTH), *token[1:]], cwd=folder)
    for command in (
        f"kubectl apply -f {folder / 'more.yaml'}",
        "kubectl -n lab rollout status deployment web --timeout=30s",
        "kubectl -n lab wait --for=condition=Ready pod/db --timeout=30s",
        f"kubectl apply -f {folder / 'sets.yaml'}",
        "kubectl -n lab rollout status statefulset set --timeout=30s",
        "kubectl -n lab wait --for=delete job/once --timeout=30s",
        "kubectl -n lab wait --for=condition=Ready pod/scratch --timeout=30s",
        "kubectl -n lab patch statefulset set -p "
        """'{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain"}}}'""",
        "kubectl -n lab rollout status daemonset agent --timeout=30s",
        "kubectl -n lab set image statefulset/set daemonset/agent main=nginx:2",
        "kubectl -n lab rollout status statefulset set --timeout=30s",
        "kubectl -n lab rollout status daemonset agent --timeout=30s",
        """kubectl -n lab patch job broken-off -p '{"spec":{"suspend":true}}'""",
        "kubectl -n lab set image deployment/web main=nginx:2",
        "kubectl -n lab rollout status deployment web --timeout=30s",
        "kubectl -n lab wait --for=jsonpath={.status.lastSuccessfulTime} cj/tick --timeout=30s",
        "kubectl -n lab wait --for=jsonpath={.status.replicas}=2 rc/old --timeout=30s",
        "kubectl -n lab scale rc old --replicas=0",
        "kubectl -n lab wait --for=jsonpath={.status.replicas}=0 rc/old --timeout=30s",
        "kubectl -n lab delete service web",
        "kubectl taint node kube-01 gone=yes:NoExecute",
        "kubectl -n lab delete pod db --now",
        "kubectl -n lab delete deployment web",
        "kubectl delete namespace lab --timeout=60s",
        "kubectl delete node kube-02",
    ):
        done = kubectl.run(command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    joining.terminate()
    joining.wait(timeout=20)


def read(log: Path) -> tuple[Asked, list[str]]:
    asked: Asked = defaultdict(set)
    refused = []
    for line in log.read_text().splitlines():
        event = json.loads(line)
        user, reference = event["user"].get("username", ""), event.get("objectRef")
        if reference is None or not user.startswith("system:"):
            continue
        resource = reference["resource"]
        if part := reference.get("subresource"):
            resource += f"/{part}"
        if group := reference.get("apiGroup"):
            resource += f".{group}"
        asked[user].add((event["verb"], resource))
        if event["annotations"]["authorization.k8s.io/decision"] == "forbid":
            refused.append(f"{user} may not {event['verb']} {resource}")
    return asked, refused


def rights(role: DefaultRole) -> set[tuple[str, str]]:
    """Return what a role allows, by resource; who may update may patch, and the like."""
    return {
        (RIGHTS.get(verb, verb), f"{resource}.{group}" if group else resource)
        for rule in role.rules
        for verb in rule.verbs
        for group in rule.api_groups
        for resource in rule.resources
    }


def used(asked: Asked, user: str) -> set[tuple[str, str]]:
    return {(RIGHTS.get(verb, verb), resource) for verb, resource in asked[user]}


def test_nothing_that_a_process_asks_for_is_refused(asked):
    _, refused = asked
    assert refused == []


@pytest.mark.parametrize("user", [SCHEDULER, MANAGER])
def test_what_a_role_allows_is_done_or_has_a_reason(asked, user):
    roles = [role for role in bootstrap.ROLES if user in role.users]
    assert not unseen(asked[0], user, roles)


@pytest.mark.parametrize("account", CONTROLLERS)
def test_what_the_role_of_a_controller_allows_is_done_or_has_a_reason(asked, account):
    roles = [role for role in bootstrap.ROLES if account in role.accounts]
    assert not unseen(asked[0], f"{SERVICE_ACCOUNT}kube-system:{account}", roles)


def unseen(asked: Asked, user: str, roles: list[DefaultRole]) -> list[str]:
    """Return what a user is allowed and has not done, for no reason that is known here."""
    known = {right for rights_ in UNSEEN.values() for right in rights_}
    return sorted(
        f"{role.name}: {verb} {resource}"
        for role in roles
        if not reaches_every_kind(role)
        for verb, resource in rights(role) - used(asked, user)
        if f"{verb} {resource}" not in known
    )


def test_no_controller_does_anything_as_the_process_that_it_shares(asked):
    assert {
        (verb, resource) for verb, resource in asked[0][MANAGER] if verb not in ("list", "watch")
    } == {("create", "serviceaccounts"), ("create", "serviceaccounts/token")}


def reaches_every_kind(role: DefaultRole) -> bool:
    return any("*" in rule.resources for rule in role.rules)


def test_only_those_that_must_reach_every_kind_are_allowed_everything():
    everything = {
        role.name: {verb for rule in role.rules if "*" in rule.resources for verb in rule.verbs}
        for role in bootstrap.ROLES
        if any("*" in rule.resources for rule in role.rules)
    }
    assert everything == {
        "cluster-admin": {"*"},
        "system:controller:generic-garbage-collector": {"get", "patch", "update", "delete"},
        "system:controller:namespace-controller": {"list", "delete"},
        "system:kube-controller-manager": {"list", "watch"},
    }


def test_nodes_ask_for_their_own_things_alone(asked):
    nodes = [user for user in asked[0] if user.startswith("system:node:")]
    assert len(nodes) == 4
    for node in nodes:
        assert {resource for _, resource in used(asked[0], node)} <= {
            *("events", "leases.coordination.k8s.io", "nodes", "nodes/status"),
            *("pods", "pods/status"),
        }
