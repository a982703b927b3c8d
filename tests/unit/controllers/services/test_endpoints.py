"""Endpoints of services: slices of a hundred, and the older form in one object."""

import pytest
from tests.world import World

from kubeberth.api.scheme import ENDPOINT_SLICES, ENDPOINTS, NODES, PODS, SERVICES
from kubeberth.clock import rfc3339
from kubeberth.controllers.services.endpoint_slice import EndpointSliceReconciler
from kubeberth.controllers.services.endpoints import EndpointsReconciler

KEY = "default/web"


def world_with(reconciler, **spec):
    world = World(reconciler)
    whole = {
        "type": "ClusterIP",
        "clusterIP": "10.0.0.9",
        "ipFamilies": ["IPv4"],
        "selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
        **spec,
    }
    metadata = {"name": "web", "uid": "uid-web", "labels": {"team": "blue"}}
    world.api.put(SERVICES, {"metadata": metadata, "spec": whole})
    zone = {"topology.kubernetes.io/zone": "zone-a"}
    world.api.put(NODES, {"metadata": {"name": "node-1", "labels": zone}})
    return world


def sliced(**spec):
    return world_with(EndpointSliceReconciler(), **spec)


def put_pod(world, number, *, ready=True, deleting=False, phase="Running", port="", **spec):
    ip = f"10.1.{number // 250}.{number % 250 + 1}"
    named = [{"name": port, "containerPort": 9000, "protocol": "TCP"}] if port else []
    metadata = {"name": f"p{number:03}", "uid": f"u{number:03}", "labels": {"app": "web"}}
    if deleting:
        at = rfc3339(world.clock.now() + 30)
        metadata |= {"deletionTimestamp": at, "deletionGracePeriodSeconds": 30}
    world.api.put(
        PODS,
        {
            "metadata": metadata,
            "spec": {"nodeName": "node-1", "containers": [{"name": "c", "ports": named}], **spec},
            "status": {
                "phase": phase,
                "podIP": ip,
                "podIPs": [{"ip": ip}, {"ip": f"fd00::{number:x}"}],
                "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            },
        },
    )
    return ip


def slices(world):
    return list(world.api.objects[ENDPOINT_SLICES].values())


def endpoints(world):
    return [endpoint for each in slices(world) for endpoint in each.get("endpoints") or ()]


def test_a_slice_says_where_the_pods_of_a_service_are():
    world = sliced()
    ip = put_pod(world, 1)
    world.settle(KEY)
    [found] = slices(world)
    assert found["metadata"]["name"].startswith("web-")
    assert found["metadata"]["labels"] == {
        "team": "blue",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert found["metadata"]["ownerReferences"][0]["uid"] == "uid-web"
    assert found["addressType"] == "IPv4"
    assert found["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert found["endpoints"] == [
        {
            "addresses": [ip],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": "node-1",
            "zone": "zone-a",
            "targetRef": {"kind": "Pod", "namespace": "default", "name": "p001", "uid": "u001"},
        }
    ]


@pytest.mark.parametrize(
    ("pod", "spec", "conditions"),
    [
        pytest.param({}, {}, (True, True, False), id="ready"),
        pytest.param({"ready": False}, {}, (False, False, False), id="not ready"),
        pytest.param({"deleting": True}, {}, (False, True, True), id="on its way out"),
        pytest.param(
            {"ready": False},
            {"publishNotReadyAddresses": True},
            (True, False, False),
            id="not ready, and told all the same",
        ),
    ],
)
def test_an_endpoint_is_ready_serving_or_terminating(pod, spec, conditions):
    world = sliced(**spec)
    put_pod(world, 1, **pod)
    world.settle(KEY)
    [endpoint] = endpoints(world)
    assert tuple(endpoint["conditions"].values()) == conditions


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_ended_pods_are_no_endpoints_and_an_empty_slice_stays(phase):
    world = sliced()
    put_pod(world, 1, phase=phase)
    world.settle(KEY)
    [found] = slices(world)
    assert (found.get("endpoints"), found.get("ports")) == (None, None)
    name = found["metadata"]["name"]
    put_pod(world, 2)
    world.settle(KEY)
    [found] = slices(world)
    assert found["metadata"]["name"] == name, "it is used again"
    assert len(found["endpoints"]) == 1


def test_a_slice_holds_a_hundred_endpoints_and_changes_no_more_than_it_must():
    world = sliced()
    for number in range(230):
        put_pod(world, number)
    world.settle(KEY)
    assert [len(each["endpoints"]) for each in slices(world)] == [100, 100, 30]
    before = {each["metadata"]["name"]: each for each in slices(world)}
    first = slices(world)[0]["endpoints"][0]["targetRef"]["name"]
    world.api.remove(PODS, f"default/{first}")
    put_pod(world, 231)
    world.settle(KEY)
    changed = [each for each in slices(world) if before[each["metadata"]["name"]] != each]
    assert len(changed) == 1
    assert sorted(len(each["endpoints"]) for each in slices(world)) == [30, 100, 100]
    for number in range(20, 230):
        world.api.objects[PODS].pop(f"default/p{number:03}", None)
    world.settle(KEY)
    assert sum(len(each["endpoints"]) for each in slices(world)) == 20
    world.settle(KEY)
    assert all(each["endpoints"] for each in slices(world)), "no slice is left empty"


def test_pods_that_call_a_port_by_other_numbers_are_in_slices_of_their_own():
    world = sliced(ports=[{"name": "", "port": 80, "targetPort": "web", "protocol": "TCP"}])
    put_pod(world, 1, port="web")
    put_pod(world, 2, port="other")
    world.settle(KEY)
    ports = sorted(str(each.get("ports")) for each in slices(world))
    assert ports == ["None", "[{'name': '', 'port': 9000, 'protocol': 'TCP'}]"]


def test_a_headless_service_is_marked_and_names_its_pods():
    world = sliced(clusterIP="None")
    put_pod(world, 1, hostname="db-0", subdomain="web")
    put_pod(world, 2, hostname="db-1", subdomain="elsewhere")
    world.settle(KEY)
    [found] = slices(world)
    assert found["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert [endpoint.get("hostname") for endpoint in found["endpoints"]] == ["db-0", None]


def test_each_family_of_addresses_has_slices_of_its_own():
    world = sliced(ipFamilies=["IPv4", "IPv6"])
    put_pod(world, 1)
    world.settle(KEY)
    assert {each["addressType"]: each["endpoints"][0]["addresses"] for each in slices(world)} == {
        "IPv4": ["10.1.0.2"],
        "IPv6": ["fd00::1"],
    }
    world.change(SERVICES, "web", ipFamilies=["IPv4"])
    world.settle(KEY)
    assert [each["addressType"] for each in slices(world)] == ["IPv4"]


@pytest.mark.parametrize("spec", [{"selector": None}, {"type": "ExternalName"}])
def test_services_whose_endpoints_are_told_by_somebody_are_left_alone(spec):
    world = sliced(**spec)
    put_pod(world, 1)
    assert world.settle(KEY).actions == ()
    old = world_with(EndpointsReconciler(), **spec)
    put_pod(old, 1)
    assert old.settle(KEY).actions == ()


def test_a_slice_that_somebody_changed_is_put_right():
    world = sliced()
    put_pod(world, 1)
    world.settle(KEY)
    [found] = slices(world)
    key = f"default/{found['metadata']['name']}"
    world.api.change(ENDPOINT_SLICES, key, {"endpoints": None})
    [changed] = world.cache.all(ENDPOINT_SLICES).values()
    assert EndpointSliceReconciler().keys(world.cache, ENDPOINT_SLICES, None, changed) == {KEY}
    world.settle(KEY)
    assert len(endpoints(world)) == 1


def test_only_changes_that_endpoints_show_concern_a_service():
    world = sliced()
    put_pod(world, 1)
    [pod] = world.cache.pods().values()
    world.api.change(PODS, "default/p001", {"metadata": {"annotations": {"a": "b"}}})
    [noted] = world.cache.pods().values()
    world.api.change(PODS, "default/p001", {"status": {"conditions": [UNREADY]}})
    [unready] = world.cache.pods().values()
    for reconciler in (EndpointSliceReconciler(), EndpointsReconciler()):
        assert list(reconciler.keys(world.cache, PODS, None, pod)) == [KEY]
        assert list(reconciler.keys(world.cache, PODS, pod, noted)) == []
        assert list(reconciler.keys(world.cache, PODS, noted, unready)) == [KEY]
        assert list(reconciler.keys(world.cache, PODS, unready, None)) == [KEY]


UNREADY = {"type": "Ready", "status": "False"}


def test_a_node_that_moves_to_another_zone_concerns_all_services():
    world = sliced()
    [node] = world.cache.nodes().values()
    world.api.change(NODES, "node-1", {"spec": {"unschedulable": True}})
    [cordoned] = world.cache.nodes().values()
    keys = EndpointSliceReconciler().keys
    assert list(keys(world.cache, NODES, node, cordoned)) == []
    assert list(keys(world.cache, NODES, None, node)) == [KEY]


# The older form.


def test_endpoints_tell_ready_addresses_from_others_and_leave_out_what_goes():
    world = world_with(EndpointsReconciler())
    put_pod(world, 2)
    put_pod(world, 1, ready=False)
    put_pod(world, 3, deleting=True)
    world.settle(KEY)
    found = world.of(ENDPOINTS, "web")
    assert found["metadata"]["labels"] == {
        "team": "blue",
        "endpoints.kubernetes.io/managed-by": "endpoint-controller",
    }
    [subset] = found["subsets"]
    assert [address["ip"] for address in subset["addresses"]] == ["10.1.0.3"]
    assert [address["ip"] for address in subset["notReadyAddresses"]] == ["10.1.0.2"]
    assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert subset["addresses"][0]["targetRef"]["name"] == "p002"


def test_endpoints_hold_a_thousand_addresses_at_most():
    world = world_with(EndpointsReconciler())
    for number in range(1005):
        put_pod(world, number, ready=number > 10)
    world.settle(KEY)
    [subset] = world.of(ENDPOINTS, "web")["subsets"]
    assert (len(subset["addresses"]), len(subset["notReadyAddresses"])) == (994, 6)
    annotation = {"endpoints.kubernetes.io/over-capacity": "truncated"}
    assert world.of(ENDPOINTS, "web")["metadata"]["annotations"] == annotation


def test_endpoints_go_with_their_service():
    world = world_with(EndpointsReconciler())
    world.settle(KEY)
    mine = {"metadata": {"name": "mine"}}
    world.api.put(ENDPOINTS, mine)
    world.api.remove(SERVICES, KEY)
    world.settle(KEY)
    world.settle("default/mine")
    assert list(world.api.objects[ENDPOINTS]) == ["default/mine"]
