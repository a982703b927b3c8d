"""What people do to a running pod with kubectl: debug, resize, enter, and the tokens it uses."""

import base64
import subprocess

import pytest
import yaml
from cryptography.hazmat.primitives import serialization

from tests.certificate_requests import encoded_request, new_key
from tests.e2e.conftest import kubectl_programs
from tests.e2e.test_lifecycle import pods, wait_for

pytestmark = pytest.mark.e2e

SIMULATED = "is simulated by kubeberth and runs no containers"
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: web
    image: nginx
    resources: {requests: {cpu: 100m}}
"""
REQUEST = """
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: jane}
spec:
  request: %s
  signerName: kubernetes.io/kube-apiserver-client
  usages: [client auth]
"""


@pytest.fixture(params=kubectl_programs(), ids=["pinned", "own"][: len(kubectl_programs())])
def kubectl(cluster, apply, request):
    done = apply(POD)
    assert done.returncode == 0, done.stderr
    kubectl = cluster.kubectl(request.param)
    wait_for(lambda: pods(kubectl)["web"]["status"].get("phase") == "Running")
    yield kubectl
    kubectl.run("kubectl delete pod web --now")


def said(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "kubectl exec web -- ls",
        "kubectl attach web",
        "kubectl port-forward web 0:80",
        "kubectl cp web:/etc/hosts hosts",
    ],
)
def test_nobody_gets_into_a_simulated_pod_and_everybody_is_told_at_once(kubectl, command):
    done = kubectl.run(command)
    assert done.returncode != 0
    assert f'pod "web" {SIMULATED}' in said(done)


def test_debug_adds_an_ephemeral_container_that_runs(kubectl):
    done = kubectl.run("kubectl debug web --image=busybox --container=debugger -- sh")
    assert done.returncode == 0, said(done)

    def shown():
        return pods(kubectl)["web"]["status"].get("ephemeralContainerStatuses", [])

    wait_for(lambda: [s["name"] for s in shown() if "running" in s["state"]] == ["debugger"])
    done = kubectl.run("kubectl logs web -c debugger")
    assert "simulated by kubeberth" in done.stdout


def test_a_resize_reaches_the_node(kubectl):
    patch = '{"spec":{"containers":[{"name":"web","resources":{"requests":{"cpu":"250m"}}}]}}'
    done = kubectl.run(f"kubectl patch pod web --subresource resize -p '{patch}'")
    assert done.returncode == 0, said(done)

    def allocated():
        (status,) = pods(kubectl)["web"]["status"]["containerStatuses"]
        return status.get("allocatedResources")

    wait_for(lambda: allocated() == {"cpu": "250m"})


def as_user(kubectl, tmp_path, **user):
    """Return a kubectl for somebody else."""
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    config["users"] = [{"name": config["users"][0]["name"], "user": user}]
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return type(kubectl)(kubectl.program, path, kubectl.home)


def who(kubectl):
    done = kubectl.run("kubectl auth whoami -o jsonpath={.status.userInfo.username}")
    return done.stdout or done.stderr


def test_a_token_works_until_the_pod_it_is_bound_to_is_gone(kubectl, tmp_path):
    done = kubectl.run(
        "kubectl create token default --duration=10m --bound-object-kind=Pod "
        "--bound-object-name=web"
    )
    assert done.returncode == 0, said(done)
    account = as_user(kubectl, tmp_path, token=done.stdout.strip())
    assert who(account) == "system:serviceaccount:default:default"
    assert "is forbidden" in account.run("kubectl get nodes").stderr
    kubectl.run("kubectl delete pod web --now")
    assert "must be logged in to the server" in who(account)


def test_an_approved_request_becomes_a_certificate_that_the_server_knows(kubectl, apply, tmp_path):
    assert apply(REQUEST % encoded_request("jane", ("dev",))).returncode == 0

    def issued():
        (found,) = kubectl.items("csr jane")
        return found.get("status", {}).get("certificate")

    assert not issued()
    assert kubectl.run("kubectl certificate approve jane").returncode == 0
    wait_for(issued)
    assert "Approved,Issued" in kubectl.run("kubectl get csr jane").stdout
    key = new_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    jane = as_user(
        kubectl,
        tmp_path,
        **{
            "client-certificate-data": issued(),
            "client-key-data": base64.b64encode(key).decode(),
        },
    )
    assert who(jane) == "jane"
    assert kubectl.run("kubectl delete csr jane").returncode == 0


def test_a_denied_request_stays_without_a_certificate(kubectl, apply):
    assert apply(REQUEST % encoded_request("jane")).returncode == 0
    assert kubectl.run("kubectl certificate deny jane").returncode == 0
    assert "Denied" in kubectl.run("kubectl get csr jane").stdout
    (found,) = kubectl.items("csr jane")
    assert "certificate" not in found["status"]
    assert kubectl.run("kubectl delete csr jane").returncode == 0
