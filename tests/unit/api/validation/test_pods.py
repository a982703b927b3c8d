import copy

import pytest

from kubeberth.api import defaults
from kubeberth.api.scheme import PODS
from kubeberth.api.validation import validate, validate_update


def pod(**spec):
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n", "resourceVersion": "1", "uid": "u"},
        "spec": {"containers": [{"name": "c", "image": "nginx"}], **spec},
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }
    defaults.apply_defaults(PODS, document)
    return document


def faults(**spec):
    return [str(error) for error in validate(PODS, pod(**spec))]


def update_faults(old, sub="", **changes):
    new = copy.deepcopy(old)
    part = new["status" if sub else "spec"]
    for field, value in changes.items():
        part[field] = value
        if value is None:
            del part[field]
    return [str(error).partition("\n")[0] for error in validate_update(PODS, new, old, sub)]


def test_a_plain_pod_has_no_faults():
    assert faults() == []


def test_all_faults_are_found_in_upstreams_order():
    found = faults(
        tolerations=[{"key": "a", "operator": "Exists", "value": "v"}],
        nodeName="Bad_1",
        nodeSelector={"a": "b c"},
        containers=[{"name": "c"}],
    )
    fields = [text.partition(":")[0] for text in found]
    assert fields == [
        "spec.containers[0].image",
        "spec.nodeSelector",
        "spec.nodeName",
        "spec.tolerations[0].operator",
    ]


def test_a_gated_pod_has_no_node_yet():
    assert faults(schedulingGates=[{"name": "g"}], nodeName="n1") == [
        "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"
    ]


def test_two_containers_cannot_have_one_host_port():
    ports = [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]
    containers = [{"name": name, "image": "x", "ports": ports} for name in ("a", "b")]
    assert faults(containers=containers) == [
        'spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//80"'
    ]


def test_an_address_makes_another_host_port():
    ports = [
        {"containerPort": 80, "hostPort": 80, "hostIP": ip} for ip in ("10.0.0.1", "0.0.0.0", "")
    ]
    assert faults(containers=[{"name": "c", "image": "x", "ports": ports}]) == []


def test_init_containers_run_one_by_one_so_their_host_ports_may_be_equal():
    ports = [{"containerPort": 80, "hostPort": 80}]
    containers = [{"name": name, "image": "x", "ports": ports} for name in ("a", "b")]
    assert faults(initContainers=containers) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"nodeName": "n1"}, "spec: Forbidden: pod updates may not change fields other than"),
        ({"priority": 5}, "spec: Forbidden"),
        ({"containers": []}, "spec.containers: Required value"),
        ({"tolerations": []}, "spec.tolerations: Forbidden: existing toleration can not be"),
        ({"schedulingGates": [{"name": "g"}]}, "spec.schedulingGates[0].name: Forbidden: only del"),
        ({"activeDeadlineSeconds": 20}, "spec.activeDeadlineSeconds: Invalid value: 20: must be"),
        ({"activeDeadlineSeconds": None}, "spec.activeDeadlineSeconds: Invalid value: null"),
    ],
    ids=str,
)
def test_most_of_a_pod_may_not_change(change, fault):
    old = pod(tolerations=[{"key": "a", "operator": "Exists"}], activeDeadlineSeconds=10)
    found = update_faults(old, **change)
    assert any(text.startswith(fault) for text in found), found


@pytest.mark.parametrize(
    "change",
    [
        {"activeDeadlineSeconds": 5},
        {
            "tolerations": [
                {"key": "b", "operator": "Exists"},
                {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 9},
            ]
        },
        {"schedulingGates": None},
        {"nodeSelector": {"disk": "ssd", "zone": "a"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_some_of_a_gated_pod_may_change(change):
    old = pod(
        tolerations=[{"key": "a", "operator": "Exists", "effect": "NoExecute"}],
        activeDeadlineSeconds=10,
        schedulingGates=[{"name": "g"}],
        nodeSelector={"disk": "ssd"},
    )
    assert update_faults(old, **change) == []


def affinity(*terms):
    rules = {"nodeSelectorTerms": [{"matchExpressions": list(term)} for term in terms]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": rules}}


ZONE = {"key": "zone", "operator": "Exists"}
DISK = {"key": "disk", "operator": "Exists"}


@pytest.mark.parametrize(
    ("before", "after", "n_faults"),
    [
        pytest.param(None, affinity([ZONE]), 0, id="first rules"),
        pytest.param(affinity([ZONE]), affinity([ZONE, DISK]), 0, id="narrower"),
        pytest.param(affinity([ZONE, DISK]), affinity([ZONE]), 1, id="wider"),
        pytest.param(affinity([ZONE]), affinity([DISK, ZONE]), 1, id="another order"),
        pytest.param(affinity([ZONE]), affinity([ZONE], [DISK]), 1, id="another term"),
        pytest.param(affinity([ZONE]), None, 1, id="no rules any more"),
        pytest.param(affinity([]), affinity([ZONE]), 1, id="an empty term stays empty"),
    ],
)
def test_node_affinity_of_a_gated_pod_may_only_become_narrower(before, after, n_faults):
    gates = [{"name": "g"}]
    old = pod(schedulingGates=gates, **({"affinity": before} if before else {}))
    assert len(update_faults(old, affinity=after)) == n_faults


def test_pod_affinity_of_a_gated_pod_may_not_change():
    term = {"topologyKey": "zone", "labelSelector": {}}
    rules = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    old = pod(schedulingGates=[{"name": "g"}])
    assert update_faults(old, affinity=rules)[0].startswith("spec: Forbidden")


def test_a_terminated_container_stays_terminated_when_its_pod_never_restarts():
    old = pod(restartPolicy="Never")
    old["status"]["containerStatuses"] = [{"name": "c", "state": {"terminated": {"exitCode": 1}}}]
    alive = [{"name": "c", "state": {"running": {}}}]
    assert update_faults(old, "status", containerStatuses=alive) == [
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to "
        "non-terminated state"
    ]


def test_a_failed_container_may_restart_on_failure():
    old = pod(restartPolicy="OnFailure")
    old["status"]["containerStatuses"] = [{"name": "c", "state": {"terminated": {"exitCode": 1}}}]
    alive = [{"name": "c", "state": {"running": {}}}]
    assert update_faults(old, "status", containerStatuses=alive) == []


def test_a_bound_pod_cannot_be_nominated():
    assert update_faults(pod(nodeName="n1"), "status", nominatedNodeName="n2") == [
        "status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a "
        "node"
    ]
