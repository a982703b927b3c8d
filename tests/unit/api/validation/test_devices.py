"""Devices: what slices, classes and claims of them may say."""

import copy

import pytest

from kubeberth.api import codec, defaults
from kubeberth.api.scheme import (
    DEVICE_CLASSES,
    RESOURCE_CLAIM_TEMPLATES,
    RESOURCE_CLAIMS,
    RESOURCE_SLICES,
)
from kubeberth.api.validation import validate, validate_update

EXACTLY = {"deviceClassName": "gpu"}
REQUEST = {"name": "gpu", "exactly": EXACTLY}
EITHER = {
    "name": "either",
    "firstAvailable": [
        {"name": "big", "deviceClassName": "gpu"},
        {"name": "small", "deviceClassName": "gpu", "count": 2},
    ],
}
RESULT = {"request": "gpu", "driver": "gpu.example.com", "pool": "n1", "device": "gpu-0"}
ALLOCATION = {"devices": {"results": [RESULT]}}
DEVICE = {"name": "gpu-0", "attributes": {"model": {"string": "A"}}}
SLICE = {
    "driver": "gpu.example.com",
    "pool": {"name": "n1", "resourceSliceCount": 1},
    "nodeName": "n1",
    "devices": [DEVICE],
}


def made(resource, **fields):
    metadata = {"name": "x", "resourceVersion": "1", "uid": "u"}
    if resource.namespaced:
        metadata["namespace"] = "n"
    metadata |= fields.pop("metadata", {})
    body = copy.deepcopy({**fields, "metadata": metadata})
    document = codec.decode_document(body, resource).document
    defaults.apply_defaults(resource, document)
    return document


def claim(*requests, status=None, metadata=None, **devices):
    spec = {"devices": {"requests": list(requests) or [REQUEST], **devices}}
    return made(RESOURCE_CLAIMS, spec=spec, status=status or {}, metadata=metadata or {})


def claim_faults(*requests, **devices):
    return [str(error) for error in validate(RESOURCE_CLAIMS, claim(*requests, **devices))]


def exactly(**fields):
    return {"name": "gpu", "exactly": {**EXACTLY, **fields}}


def slice_faults(**spec):
    document = made(RESOURCE_SLICES, spec={**SLICE, **spec})
    return [str(error) for error in validate(RESOURCE_SLICES, document)]


def device_faults(**fields):
    return slice_faults(devices=[{**DEVICE, **fields}])


def status_faults(status, before=None, **metadata):
    old = claim(status=before or {}, metadata=metadata)
    new = claim(status=status, metadata=metadata)
    return [str(error) for error in validate_update(RESOURCE_CLAIMS, new, old, "status")]


def test_a_request_is_for_one_device_unless_it_says_otherwise():
    document = claim(REQUEST, EITHER, exactly(allocationMode="All") | {"name": "all"})
    one, either, everything = document["spec"]["devices"]["requests"]
    assert one["exactly"] == {**EXACTLY, "allocationMode": "ExactCount", "count": 1}
    assert [choice["count"] for choice in either["firstAvailable"]] == [1, 2]
    assert "count" not in everything["exactly"]


def test_tolerations_of_devices_compare_values_unless_they_say_otherwise():
    document = claim(exactly(tolerations=[{"key": "broken", "value": "a"}]))
    (request,) = document["spec"]["devices"]["requests"]
    assert request["exactly"]["tolerations"][0]["operator"] == "Equal"


def test_a_claim_may_ask_for_one_thing_or_the_first_of_several():
    constraint = {"matchAttribute": "example.com/numa", "requests": ["gpu", "either/big"]}
    config = {"requests": ["either"], "opaque": {"driver": "d", "parameters": {"a": 1}}}
    assert claim_faults(REQUEST, EITHER, constraints=[constraint], config=[config]) == []


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        pytest.param(
            {"name": "gpu"},
            ": Required value: exactly one of `exactly` or `firstAvailable` is required",
            id="neither kind of request",
        ),
        pytest.param(
            {**EITHER, "exactly": EXACTLY},
            ": Invalid value: null: exactly one of `exactly` or `firstAvailable` is required, but "
            "multiple fields are set",
            id="both kinds of request",
        ),
        pytest.param(
            {"name": "gpu", "exactly": {}},
            ".exactly.deviceClassName: Required value",
            id="no class",
        ),
        pytest.param(
            exactly(allocationMode="Some"),
            '.exactly.allocationMode: Unsupported value: "Some": supported values: "All", '
            '"ExactCount"',
            id="a mode that there is not",
        ),
        pytest.param(
            exactly(count=-1),
            ".exactly.count: Invalid value: -1: must be greater than zero",
            id="less than nothing",
        ),
        pytest.param(
            exactly(allocationMode="All", count=2),
            ".exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'",
            id="all of them, and how many",
        ),
        pytest.param(
            exactly(selectors=[{}]),
            ".exactly.selectors[0].cel: Required value",
            id="a selector that says nothing",
        ),
        pytest.param(
            exactly(tolerations=[{"key": "a", "operator": "Exists", "value": "b"}]),
            '.exactly.tolerations[0].value: Invalid value: "b": must be empty for operator '
            "`Exists`",
            id="a value that is not looked at",
        ),
        pytest.param(
            exactly(tolerations=[{"key": "a", "effect": "PreferNoSchedule"}]),
            '.exactly.tolerations[0].effect: Unsupported value: "PreferNoSchedule": supported '
            'values: "NoExecute", "NoSchedule", "None"',
            id="an effect that only nodes have",
        ),
    ],
)
def test_a_request_that_cannot_be_is_refused(request_, fault):
    assert claim_faults(request_) == [f"spec.devices.requests[0]{fault}"]


def test_two_requests_of_a_claim_have_two_names():
    assert claim_faults(REQUEST, REQUEST) == [
        'spec.devices.requests[1]: Duplicate value: "gpu"',
    ]


def test_a_claim_has_at_most_32_requests():
    requests = [{"name": f"r{index}", "exactly": EXACTLY} for index in range(33)]
    assert claim_faults(*requests) == [
        "spec.devices.requests: Too many: 33: must have at most 32 items"
    ]


@pytest.mark.parametrize("reference", ["other", "either/middle", "either/big/one"])
def test_a_constraint_is_about_requests_of_its_claim(reference):
    constraint = {"matchAttribute": "example.com/numa", "requests": [reference]}
    assert claim_faults(EITHER, constraints=[constraint]) == [
        f'spec.devices.constraints[0].requests[0]: Invalid value: "{reference}": must be the name '
        "of a request in the claim or the name of a request and a subrequest separated by '/'"
    ]


def test_a_constraint_says_whose_attribute_it_is_about():
    assert claim_faults(constraints=[{"distinctAttribute": "numa"}]) == [
        'spec.devices.constraints[0].distinctAttribute: Invalid value: "numa": a fully qualified '
        "name must be a domain and a name separated by a slash"
    ]
    (fault,) = claim_faults(constraints=[{}])
    assert fault.startswith("spec.devices.constraints[0]: Required value: exactly one of")


@pytest.mark.parametrize(
    "expression",
    [
        'device.driver == "gpu.example.com"',
        'device.attributes["gpu.example.com"].model == "A"',
        'cel.bind(own, device.attributes["a.example.com"], own.fast && own.big)',
        'device.attributes["a.example.com"].version.isGreaterThan(semver("1.0.0"))',
    ],
)
def test_a_selector_is_an_expression_about_a_device(expression):
    assert claim_faults(exactly(selectors=[{"cel": {"expression": expression}}])) == []


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        pytest.param("device.", "Syntax error", id="an unfinished expression"),
        pytest.param("pod.name == ''", "undeclared reference to 'pod'", id="a foreign name"),
    ],
)
def test_a_selector_that_is_no_expression_about_a_device_is_refused(expression, why):
    (fault,) = claim_faults(exactly(selectors=[{"cel": {"expression": expression}}]))
    assert ".selectors[0].cel.expression: Invalid value" in fault
    assert why in fault


def test_what_a_driver_is_told_is_an_object_of_at_most_10_kib():
    def told(parameters):
        return claim_faults(config=[{"opaque": {"driver": "d", "parameters": parameters}}])

    path = "spec.devices.config[0].opaque.parameters"
    assert told({"a": "x" * 10_000}) == []
    assert told({"a": "x" * 11_000}) == [f"{path}: Too long: may not be more than 10240 bytes"]
    assert told(["a"]) == [f'{path}: Invalid value: "<value omitted>": must be a valid JSON object']
    assert claim_faults(config=[{}]) == ["spec.devices.config[0].opaque: Required value"]


@pytest.mark.parametrize("resource", [RESOURCE_CLAIMS, RESOURCE_CLAIM_TEMPLATES])
def test_what_was_asked_for_stays(resource):
    def asking(count):
        spec = {"devices": {"requests": [exactly(count=count)]}}
        return made(resource, spec=spec if resource is RESOURCE_CLAIMS else {"spec": spec})

    (error,) = validate_update(resource, asking(2), asking(1))
    assert error.field == "spec"
    assert '"Requests":[{"Name":"gpu","Exactly":{"DeviceClassName":"gpu"' in error.body
    assert error.body.endswith("field is immutable")
    assert validate_update(resource, asking(2), asking(2)) == []


def test_a_template_is_checked_like_the_claims_that_are_made_from_it():
    spec = {"spec": {"devices": {"requests": [{"name": "Bad"}]}}}
    found = [
        str(e)
        for e in validate(RESOURCE_CLAIM_TEMPLATES, made(RESOURCE_CLAIM_TEMPLATES, spec=spec))
    ]
    assert [fault.partition(":")[0] for fault in found] == [
        "spec.spec.devices.requests[0].name",
        "spec.spec.devices.requests[0]",
    ]


def test_an_allocation_is_of_requests_of_the_claim():
    assert status_faults({"allocation": ALLOCATION}) == []
    other = {"devices": {"results": [{**RESULT, "request": "other"}]}}
    (fault,) = status_faults({"allocation": other})
    assert fault.startswith("status.allocation.devices.results[0].request: Invalid value")


def test_an_allocation_may_go_and_come_but_not_change():
    assert status_faults({}, {"allocation": ALLOCATION}) == []
    assert status_faults({"allocation": ALLOCATION}, {"allocation": ALLOCATION}) == []
    other = {"devices": {"results": [{**RESULT, "device": "gpu-1"}]}}
    (fault,) = status_faults({"allocation": other}, {"allocation": ALLOCATION})
    assert fault.startswith('status.allocation: Invalid value: {"Devices":{"Results":[')
    assert fault.endswith("field is immutable")


def test_only_an_allocated_claim_is_reserved():
    consumer = {"resource": "pods", "name": "p", "uid": "1"}
    assert status_faults({"allocation": ALLOCATION, "reservedFor": [consumer]}) == []
    assert status_faults({"reservedFor": [consumer]}) == [
        "status.reservedFor: Forbidden: may not be specified when `allocated` is not set"
    ]
    (fault,) = status_faults({"allocation": ALLOCATION, "reservedFor": [{"uid": "1", "name": "p"}]})
    assert fault == "status.reservedFor[0].resource: Required value"


def test_nobody_new_gets_a_claim_that_is_being_deleted():
    consumer = {"resource": "pods", "name": "p", "uid": "1"}
    status = {"allocation": ALLOCATION, "reservedFor": [consumer]}
    gone = {"deletionTimestamp": "2024-01-01T00:00:00Z"}
    assert status_faults(status, status, **gone) == []
    (fault,) = status_faults(status, {"allocation": ALLOCATION}, **gone)
    assert fault.startswith("status.reservedFor: Forbidden: new entries may not be added")


def test_drivers_report_on_devices_that_are_allocated():
    def reported(device, **fields):
        place = {key: RESULT[key] for key in ("driver", "pool")}
        devices = [{**place, "device": device, **fields}]
        return status_faults({"allocation": ALLOCATION, "devices": devices})

    assert reported("gpu-0", networkData={"ips": ["10.0.0.1/24", "2001:db8::1/64"]}) == []
    assert reported("gpu-1") == [
        "status.devices[0]: Invalid value: gpu.example.com/n1/gpu-1: must be an allocated device "
        "in the claim"
    ]
    (fault,) = reported("gpu-0", networkData={"ips": ["10.0.0.1"]})
    assert fault.startswith('status.devices[0].networkData.ips[0]: Invalid value: "10.0.0.1"')


def test_a_class_may_stand_for_an_extended_resource():
    def named(name):
        document = made(DEVICE_CLASSES, spec={"extendedResourceName": name})
        return [str(error) for error in validate(DEVICE_CLASSES, document)]

    assert named("example.com/gpu") == []
    assert named("cpu") == [
        'spec.extendedResourceName: Invalid value: "cpu": must be a valid extended resource name'
    ]


def test_a_slice_says_in_one_way_where_its_devices_are():
    selector = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}
    assert slice_faults(nodeName=None, nodeSelector=selector) == []
    assert slice_faults(nodeName=None, allNodes=True) == []
    (fault,) = slice_faults(nodeName=None)
    assert fault == (
        "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, "
        "`perDeviceNodeSelection` is required"
    )
    (fault,) = slice_faults(allNodes=True)
    assert fault.startswith('spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of')
    two = {"nodeSelectorTerms": selector["nodeSelectorTerms"] * 2}
    (fault,) = slice_faults(nodeName=None, nodeSelector=two)
    assert fault.endswith("must have exactly one node selector term")


def test_devices_say_where_they_are_when_their_slice_does_not():
    def placed(**fields):
        devices = [{**DEVICE, **fields}]
        return slice_faults(nodeName=None, perDeviceNodeSelection=True, devices=devices)

    assert placed(nodeName="n1") == []
    assert placed(allNodes=True) == []
    assert [fault.partition(":")[0] for fault in placed()] == ["spec.devices[0]"]
    (fault,) = device_faults(nodeName="n1")
    assert fault.startswith("spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector`")


def test_a_slice_stays_with_its_driver_pool_and_node():
    old = made(RESOURCE_SLICES, spec=SLICE)
    changed = {"driver": "a.example.com", "pool": {"name": "b", "resourceSliceCount": 1}}
    new = made(RESOURCE_SLICES, spec={**SLICE, **changed, "nodeName": "n2"})
    assert [str(error) for error in validate_update(RESOURCE_SLICES, new, old)] == [
        'spec.pool.name: Invalid value: "b": field is immutable',
        'spec.driver: Invalid value: "a.example.com": field is immutable',
        'spec.nodeName: Invalid value: "n2": field is immutable',
    ]


def test_a_slice_with_taints_has_at_most_64_devices():
    plain = [{"name": f"d{index}"} for index in range(65)]
    assert slice_faults(devices=plain) == []
    tainted = [*plain[:-1], {"name": "t", "taints": [{"key": "a", "effect": "NoExecute"}]}]
    assert slice_faults(devices=tainted) == [
        "spec.devices: Too many: 65: must have at most 64 items"
    ]


@pytest.mark.parametrize(
    ("device", "fault"),
    [
        pytest.param(
            {"attributes": {"a": {"string": "x", "int": 1}}},
            '.attributes[a]: Invalid value: {"IntValue":1,"BoolValue":null,"StringValue":"x",'
            '"VersionValue":null,"IntValues":null,"BoolValues":null,"StringValues":null,'
            '"VersionValues":null}: exactly one value must be specified',
            id="an attribute of two types",
        ),
        pytest.param(
            {"attributes": {"a": {"version": "1.0"}}},
            '.attributes[a].version: Invalid value: "1.0": must be a string compatible with '
            "semver.org spec 2.0.0",
            id="half a version",
        ),
        pytest.param(
            {"attributes": {"a": {"string": "x" * 65}}},
            ".attributes[a].string: Too long: may not be more than 64 bytes",
            id="a long attribute",
        ),
        pytest.param(
            {"capacity": {"a/b/c": {"value": "1"}}},
            '.capacity: Invalid value: "a/b/c": must not contain more than one slash',
            id="a name with too many slashes",
        ),
        pytest.param(
            {"capacity": {"memory": {"value": "1", "requestPolicy": {"default": "1"}}}},
            ".capacity[memory].requestPolicy: Forbidden: allowMultipleAllocations must be true",
            id="parts of what is given away whole",
        ),
        pytest.param(
            {"consumesCounters": [{"counterSet": "s"}]},
            ".consumesCounters[0].counters: Required value",
            id="taking nothing from a set",
        ),
        pytest.param(
            {"bindingConditions": ["a"]},
            ".bindingFailureConditions: Invalid value: null: bindingFailureConditions are required "
            "to use bindingConditions",
            id="waiting for what cannot fail",
        ),
        pytest.param(
            {"taints": [{"key": "a"}]},
            ".taints[0].effect: Required value",
            id="a taint that does nothing",
        ),
    ],
)
def test_a_device_that_cannot_be_is_refused(device, fault):
    assert device_faults(**device) == [f"spec.devices[0]{fault}"]


@pytest.mark.parametrize(
    ("policy", "fault"),
    [
        pytest.param(
            {"default": "1Gi", "validRange": {"min": "1Gi", "step": "1Gi"}}, "", id="fits"
        ),
        pytest.param(
            {"default": "1Gi", "validValues": ["1Gi", "2Gi"]}, "", id="one of some amounts"
        ),
        pytest.param(
            {"validRange": {"min": "1Gi"}},
            ".default: Required value: required when validRange is defined",
            id="no default",
        ),
        pytest.param(
            {"default": "1Gi", "validValues": ["2Gi", "1Gi"]},
            '.validValues[1]: Invalid value: "1Gi": values must be sorted in ascending order',
            id="amounts out of order",
        ),
        pytest.param(
            {"default": "1Gi", "validValues": ["2Gi"]},
            '.validValues: Invalid value: "1Gi": default value is not valid according to the '
            "requestPolicy",
            id="a default that is none of the amounts",
        ),
        pytest.param(
            {"default": "1Gi", "validRange": {"min": "2Gi"}},
            '.validRange.default: Invalid value: "1Gi": default is less than min: 2Gi',
            id="a default below the least",
        ),
        pytest.param(
            {"default": "3Gi", "validRange": {"min": "1Gi", "max": "2Gi"}},
            '.validRange.default: Invalid value: "3Gi": default is more than max: 2Gi',
            id="a default above the most",
        ),
        pytest.param(
            {"default": "1Gi", "validRange": {"min": "1Gi", "step": "4Gi"}},
            '.validRange.step: Invalid value: "4Gi": one step 5Gi is larger than capacity value: '
            "4Gi",
            id="a step that is too long",
        ),
        pytest.param(
            {"default": "2Gi", "validRange": {"min": "1Gi", "step": "3Gi"}},
            '.validRange.step: Invalid value: "2Gi": value is not a multiple of a given step (3Gi) '
            "from (1Gi)",
            id="a default between two steps",
        ),
    ],
)
def test_parts_of_a_capacity_are_given_away_by_a_policy(policy, fault):
    capacity = {"memory": {"value": "4Gi", "requestPolicy": policy}}
    found = device_faults(capacity=capacity, allowMultipleAllocations=True)
    path = "spec.devices[0].capacity[memory].requestPolicy"
    assert found == ([path + fault] if fault else [])


def test_counters_are_shared_by_slices_without_devices():
    counters = [{"name": "s", "counters": {"memory": {"value": "4Gi"}}}]
    assert slice_faults(devices=None, sharedCounters=counters) == []
    (fault,) = slice_faults(sharedCounters=counters)
    assert fault.endswith("only one of `sharedCounters` or `devices` is allowed")
