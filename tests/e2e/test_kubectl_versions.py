"""Every kubectl on this machine, old and new, prints the same of the same cluster.

The pinned kubectl is the measure. Google's packages bring the older ones, as `kubectl.1.27` and so
on beside `kubectl`; where they are not installed, there is nothing to compare.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.conftest import kubectl_programs

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SESSION = """
kubectl create configmap settings --from-literal=size=1
kubectl get configmap settings -o yaml
kubectl patch configmap settings --type merge -p '{"data":{"size":"2"}}'
kubectl patch configmap settings --type json -p '[{"op":"replace","path":"/data/size","value":"3"}]'
kubectl get configmap settings -o jsonpath={.data}
kubectl create secret generic pass --from-literal=a=b
kubectl describe secret pass
kubectl create deployment web --image=nginx --replicas=2
kubectl wait --for=condition=Available deployment/web --timeout=20s
kubectl get deployments
kubectl get deployments,replicasets -o name
kubectl get pods -l app=web -o custom-columns=PHASE:.status.phase
kubectl scale deployment web --replicas=1
kubectl set image deployment/web nginx=nginx:2
kubectl rollout status deployment/web
kubectl rollout history deployment/web
kubectl rollout undo deployment/web
kubectl expose deployment web --port=80
kubectl get service web -o jsonpath={.spec.ports}
kubectl label deployment web tier=front
kubectl label deployment web tier=back
kubectl run one --image=nginx --labels=app=one
kubectl wait --for=condition=Ready pod/one --timeout=20s
kubectl get pod one
kubectl get pod one -o go-template={{.status.phase}}
kubectl explain pod.spec.nodeName
kubectl explain deployment.spec --recursive
kubectl api-resources --sort-by=name
kubectl api-versions
kubectl cordon node-2
kubectl get node node-2
kubectl uncordon node-2
kubectl taint nodes node-2 a=b:NoSchedule
kubectl taint nodes node-2 a-
kubectl apply -f redis-cache.yaml
kubectl apply -f redis-cache.yaml
kubectl diff -f redis-cache.yaml
kubectl apply --server-side -f redis-cache.yaml
kubectl create -f redis-cache.yaml
kubectl delete -f redis-cache.yaml --wait=false
kubectl get pod none
kubectl get nothing
kubectl get pods --field-selector status.phase=Gone
kubectl get pods --field-selector colour=red
kubectl create deployment Web --image=nginx
kubectl delete configmap settings --dry-run=server
kubectl delete pod one --now
kubectl get events --field-selector reason=ScalingReplicaSet -o custom-columns=TYPE:.type
""".strip().splitlines()

# What kubectl words differently by its own version, or what no two runs have in common.
OWN_WORDS = (
    (r"(?m)^Waiting for deployment .*$", ""),  # how often it looks is chance
    (r" from \S+ namespace", ""),  # deletions name the namespace since 1.34
    (r"(?m)^ +enum: .*$", ""),  # explain lists values since 1.28
    (r"\b\d+(m\d+)?s\b", "AGE"),
    (r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b", "UID"),
    (r"\b[0-9a-f]{8,10}\b(-[a-z0-9]{5}\b)?", "HASH"),
    (r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME"),
    (r'resourceVersion: "\d+"', "VERSION"),
)


def older_programs() -> list[str]:
    """Return the kubectls beside the machine's own, and that itself."""
    own = [Path(program).resolve() for program in kubectl_programs()[1:]]
    return [str(found) for path in own for found in sorted(path.parent.glob("kubectl*"))]


def told(kubectl, number):
    """Return what a kubectl prints in a namespace of its own, command by command."""
    namespace = f"version-{number}"
    kubectl.run(f"kubectl create namespace {namespace}")
    waiting = f"wait --for=jsonpath={{.metadata.name}}=default sa/default -n {namespace}"
    for _ in range(50):
        if kubectl.run(f"kubectl {waiting}").returncode == 0:
            break
    answers = []
    for command in SESSION:
        done = kubectl.run(f"{command} --namespace={namespace}")
        text = f"{done.stdout}{done.stderr}".replace(namespace, "NAMESPACE")
        for pattern, replacement in OWN_WORDS:
            text = re.sub(pattern, replacement, text)
        lines = [re.sub(" +", " ", line) for line in text.splitlines() if line]
        answers.append((command, done.returncode, lines))
    return answers


@pytest.fixture(scope="module")
def pinned(cluster):
    """What the pinned kubectl prints."""
    return told(cluster.kubectl(), 0)


def test_the_pinned_kubectl_succeeds_where_it_should(pinned):
    failed = [command for command, code, _ in pinned if code]
    assert failed == [
        "kubectl label deployment web tier=back",
        "kubectl create -f redis-cache.yaml",
        "kubectl get pod none",
        "kubectl get nothing",
        "kubectl get pods --field-selector colour=red",
        "kubectl create deployment Web --image=nginx",
    ]


@pytest.mark.parametrize("program", older_programs(), ids=lambda path: Path(path).name)
def test_another_version_of_kubectl_prints_the_same(cluster, pinned, program):
    number = older_programs().index(program) + 1
    assert told(cluster.kubectl(program), number) == pinned
