"""Server-side apply as kubectl does it."""

import pytest
import yaml

pytestmark = pytest.mark.e2e


@pytest.fixture
def server_side(cluster, tmp_path):
    """Apply a manifest on the server; more arguments go to kubectl."""
    path = tmp_path / "manifest.yaml"

    def apply(manifest, arguments=""):
        path.write_text(yaml.safe_dump(manifest))
        return cluster.kubectl().run(f"kubectl apply --server-side {arguments} -f {path}")

    return apply


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(replicas):
    template = {
        "metadata": {"labels": {"app": "ssa"}},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "ssa"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "ssa"}},
            "template": template,
        },
    }


def managers(cluster, what):
    (found,) = cluster.kubectl().items(f"{what} --show-managed-fields")
    return {entry["manager"] for entry in found["metadata"]["managedFields"]}


def test_who_scales_by_hand_is_named_when_the_manifest_is_applied_again(cluster, server_side):
    assert server_side(deployment(1)).stdout == "deployment.apps/ssa serverside-applied\n"
    assert cluster.kubectl().run("kubectl scale deployment ssa --replicas=2").returncode == 0
    refused = server_side(deployment(1))
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        'error: Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" '
        "using apps/v1: .spec.replicas\n"
    )
    assert server_side(deployment(1), "--force-conflicts").returncode == 0
    assert cluster.kubectl().items("deployment ssa")[0]["spec"]["replicas"] == 1


def test_what_was_applied_from_the_client_moves_to_the_server(cluster, apply, server_side):
    assert apply(yaml.safe_dump(config_map("moved", a="1", b="1"))).returncode == 0
    assert managers(cluster, "configmap moved") == {"kubectl-client-side-apply"}
    assert server_side(config_map("moved", a="2")).returncode == 0
    assert cluster.kubectl().items("configmap moved")[0]["data"] == {"a": "2"}
    assert managers(cluster, "configmap moved") == {"kubectl", "kubectl-last-applied"}


def test_the_components_own_what_they_write_under_their_names(cluster, server_side):
    assert server_side(deployment(1), "--force-conflicts").returncode == 0
    kubectl = cluster.kubectl()
    assert kubectl.run("kubectl rollout status deployment/ssa --timeout=20s").returncode == 0
    assert "kube-controller-manager" in managers(cluster, "deployment ssa")
    pods = [
        p
        for p in kubectl.items("pods --show-managed-fields")
        if p["metadata"]["labels"].get("app") == "ssa"
    ]
    names = {entry["manager"] for pod in pods for entry in pod["metadata"]["managedFields"]}
    assert {"kube-controller-manager", "kubelet"} <= names
