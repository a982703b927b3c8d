"""`berth bench api` on a cluster that is in use."""

import json

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_running_cluster_is_measured_and_left_as_it_was(cluster):
    before = {item["metadata"]["name"] for item in cluster.kubectl().items("namespaces")}
    kubeconfig = str(cluster.data / "kubeconfig")
    sizes = ["--pods=200", "--connections=4", "--watchers=10"]
    found = cluster.run_with_kubeconfig(
        "bench", "api", "--kubeconfig", kubeconfig, "--json", *sizes
    )
    lines = [json.loads(line) for line in found.splitlines()]
    verbs = [line["verb"] for line in lines if line.get("kind") == "Pod"]
    assert verbs == ["create", "update", "bind", "patch status", "delete", "remove"]
    after = {
        item["metadata"]["name"]
        for item in cluster.kubectl().items("namespaces")
        if item["status"]["phase"] == "Active"
    }
    assert after == before
