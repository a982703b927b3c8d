"""What the server decides about objects; pure."""

from kubeberth.api.scheme import CONFIG_MAPS, DEPLOYMENTS, NODES
from kubeberth.apiserver.strategy import is_finished, prepare_create, prepare_update


def test_a_node_registers_with_its_status_a_deployment_does_not():
    node = {"metadata": {"name": "n"}, "status": {"phase": "x"}}
    prepare_create(NODES, node, uid="u", now="t")
    assert node["status"] == {"phase": "x"}
    deployment = {"metadata": {"name": "d"}, "spec": {}, "status": {"replicas": 3}}
    prepare_create(DEPLOYMENTS, deployment, uid="u", now="t")
    assert deployment["status"] == {}


def deployment(generation=1, **spec):
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "d", "uid": "u", "generation": generation, "resourceVersion": "1"},
        "spec": spec,
        "status": {"replicas": 1},
    }


def test_the_generation_counts_changes_of_the_spec():
    new = deployment(99, replicas=2)
    prepare_update(DEPLOYMENTS, "", new, deployment(4, replicas=1), now="t")
    assert new["metadata"]["generation"] == 5
    same = deployment(99, replicas=1)
    same["metadata"]["labels"] = {"a": "b"}
    prepare_update(DEPLOYMENTS, "", same, deployment(4, replicas=1), now="t")
    assert same["metadata"]["generation"] == 4


def test_the_status_endpoint_keeps_the_spec_and_counts_nothing():
    new = deployment(99, replicas=7) | {"status": {"replicas": 5}}
    prepare_update(DEPLOYMENTS, "status", new, deployment(4, replicas=1), now="t")
    assert new["spec"] == {"replicas": 1}
    assert new["status"] == {"replicas": 5}
    assert new["metadata"]["generation"] == 4


def test_the_last_finalizer_ends_a_deleted_object():
    old = {"metadata": {"deletionTimestamp": "t", "deletionGracePeriodSeconds": 0}}
    assert is_finished(CONFIG_MAPS, {"metadata": {}}, old)
    assert not is_finished(CONFIG_MAPS, {"metadata": {"finalizers": ["x"]}}, old)
    assert not is_finished(CONFIG_MAPS, {"metadata": {}}, {"metadata": {}})
