import pytest

from kubeberth.api.scheme import (
    BINDINGS,
    DEPLOYMENTS,
    EVENTS,
    NEW_EVENTS,
    NODES,
    PODS,
    RESOURCES,
    SERVICES,
)
from kubeberth.api.times import seconds_of
from kubeberth.apiserver.cells import age_text, selector_text
from kubeberth.apiserver.table import to_table

CREATED = "2024-01-01T00:00:00Z"
NOW = seconds_of(CREATED) + 65


def document(spec=None, status=None, **meta):
    metadata = {"name": "x", "creationTimestamp": CREATED, **meta}
    return {"metadata": metadata, "spec": spec or {}, "status": status or {}}


def cells(resource, item):
    table = to_table(resource, [item], now=NOW)
    names = [column["name"] for column in table["columnDefinitions"]]
    return dict(zip(names, table["rows"][0]["cells"], strict=True))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-0.5, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (7 * 86400 + 3600, "7d1h"),
        (8 * 86400, "8d"),
        (730 * 86400, "2y"),
        (731 * 86400, "2y1d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_ages_are_cut_off_and_not_rounded(seconds, text):
    assert age_text(seconds) == text


def test_selectors_are_told_as_one_types_them():
    selector = {
        "matchLabels": {"b": "1"},
        "matchExpressions": [
            {"key": "a", "operator": "In", "values": ["y", "x"]},
            {"key": "c", "operator": "Exists"},
            {"key": "d", "operator": "DoesNotExist"},
        ],
    }
    assert selector_text(selector) == "a in (x,y),b=1,c,!d"
    assert selector_text({}) == "<none>"


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: r.group_resource)
def test_every_kind_has_a_cell_for_every_column(resource):
    table = to_table(resource, [document()], now=NOW)
    assert len(table["rows"][0]["cells"]) == len(table["columnDefinitions"])
    assert sum(column["format"] == "name" for column in table["columnDefinitions"]) == 1


def test_rows_carry_what_the_client_asks_for():
    def carried(include):
        return to_table(PODS, [document()], include, NOW, version="v1beta1")["rows"][0]["object"]

    assert carried("None") is None
    assert carried("Object")["kind"] == "Pod"
    assert set(carried("")) == {"kind", "apiVersion", "metadata"}
    assert carried("Metadata")["apiVersion"] == "meta.k8s.io/v1beta1"


def test_a_kind_without_columns_prints_name_and_creation():
    assert cells(BINDINGS, document()) == {"Name": "x", "Created At": CREATED}


def container(name="c", ready=False, restarts=0, finished=None, **state):
    last = {"terminated": {"finishedAt": finished}} if finished else {}
    return {
        "name": name,
        "ready": ready,
        "restartCount": restarts,
        "state": state,
        "lastState": last,
    }


SPEC = {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}, {"name": "j"}]}
GATED = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
READY = {"type": "Ready", "status": "True"}


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({"phase": "Pending"}, "Pending"),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
        ({"phase": "Pending", "conditions": [GATED]}, "SchedulingGated"),
        (
            {"containerStatuses": [container(waiting={"reason": "CrashLoopBackOff"})]},
            "CrashLoopBackOff",
        ),
        ({"containerStatuses": [container(terminated={"exitCode": 3})]}, "ExitCode:3"),
        ({"containerStatuses": [container(terminated={"exitCode": 0, "signal": 9})]}, "Signal:9"),
        ({"initContainerStatuses": [container("i", running={})]}, "Init:0/2"),
        (
            {
                "initContainerStatuses": [
                    container("i", terminated={"exitCode": 0}),
                    container("j", waiting={"reason": "ErrImagePull"}),
                ]
            },
            "Init:ErrImagePull",
        ),
        (
            {
                "conditions": [READY],
                "containerStatuses": [
                    container("a", terminated={"reason": "Completed", "exitCode": 0}),
                    container("b", ready=True, running={}),
                ],
            },
            "Running",
        ),
        (
            {
                "containerStatuses": [
                    container("a", terminated={"reason": "Completed", "exitCode": 0}),
                    container("b", ready=True, running={}),
                ]
            },
            "NotReady",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_pods_status_sums_up_its_containers(status, text):
    assert cells(PODS, document(SPEC, status))["Status"] == text


def test_a_pod_that_is_being_deleted_is_terminating_unless_it_is_done():
    gone = {"deletionTimestamp": CREATED}
    assert cells(PODS, document(SPEC, {"phase": "Running"}, **gone))["Status"] == "Terminating"
    assert cells(PODS, document(SPEC, {"phase": "Failed"}, **gone))["Status"] == "Failed"
    lost = {"phase": "Running", "reason": "NodeLost"}
    assert cells(PODS, document(SPEC, lost, **gone))["Status"] == "Unknown"


def test_restarts_come_with_the_time_of_the_last_one():
    statuses = [container(restarts=2, finished="2024-01-01T00:00:55Z", running={}, ready=True)]
    row = cells(PODS, document(SPEC, {"containerStatuses": statuses}))
    assert (row["Restarts"], row["Ready"], row["Age"]) == ("2 (10s ago)", "1/1", "65s")


def test_a_sidecar_counts_among_the_containers():
    spec = {
        "containers": [{"name": "c"}],
        "initContainers": [{"name": "s", "restartPolicy": "Always"}],
    }
    sidecar = {**container("s", ready=True, running={}), "started": True}
    assert cells(PODS, document(spec, {"initContainerStatuses": [sidecar]}))["Ready"] == "1/2"


def test_a_finished_pod_has_a_condition_on_its_row():
    row = to_table(PODS, [document(SPEC, {"phase": "Succeeded"})], now=NOW)["rows"][0]
    assert row["conditions"][0]["reason"] == "Succeeded"


def test_a_node_tells_its_state_and_roles():
    labels = {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge"}
    status = {
        "conditions": [READY],
        "nodeInfo": {"kernelVersion": "6.1", "architecture": "amd64"},
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
    }
    row = cells(NODES, document({"unschedulable": True}, status, labels=labels))
    assert row["Status"] == "Ready,SchedulingDisabled"
    assert row["Roles"] == "edge,worker"
    assert row["Kernel-Version"] == "6.1 (amd64)"
    assert (row["Internal-IP"], row["External-IP"]) == ("10.0.0.1", "<none>")


def test_a_deployment_counts_its_pods():
    template = {
        "spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y"}]}
    }
    spec = {"replicas": 3, "template": template, "selector": {"matchLabels": {"app": "d"}}}
    row = cells(DEPLOYMENTS, document(spec, {"readyReplicas": 1, "updatedReplicas": 2}))
    assert (row["Ready"], row["Up-to-date"], row["Available"]) == ("1/3", 2, 0)
    assert (row["Containers"], row["Images"], row["Selector"]) == ("a,b", "x:1,y", "app=d")


@pytest.mark.parametrize(
    ("spec", "external"),
    [
        ({"type": "ClusterIP"}, "<none>"),
        ({"type": "ClusterIP", "externalIPs": ["1.2.3.4"]}, "1.2.3.4"),
        ({"type": "LoadBalancer"}, "<pending>"),
        ({"type": "ExternalName", "externalName": "example.com"}, "example.com"),
    ],
)
def test_a_service_tells_how_it_is_reached(spec, external):
    ports = [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
    row = cells(SERVICES, document({**spec, "ports": ports}))
    assert row["External-IP"] == external
    assert row["Port(s)"] == "80:30080/TCP,53/UDP"


def test_both_forms_of_an_event_print_alike():
    old = {
        **document(),
        "involvedObject": {"kind": "Pod", "name": "p"},
        "message": " m ",
        "count": 3,
        "firstTimestamp": CREATED,
        "lastTimestamp": "2024-01-01T00:01:00Z",
        "source": {"component": "s", "host": "h"},
    }
    new = {
        **document(),
        "regarding": old["involvedObject"],
        "note": " m ",
        "deprecatedCount": 3,
        "deprecatedFirstTimestamp": CREATED,
        "deprecatedLastTimestamp": "2024-01-01T00:01:00Z",
        "deprecatedSource": old["source"],
    }
    row = cells(EVENTS, old)
    assert row == cells(NEW_EVENTS, new)
    assert (row["Last Seen"], row["Object"], row["Source"], row["Message"], row["Count"]) == (
        "5s",
        "pod/p",
        "s, h",
        "m",
        3,
    )
