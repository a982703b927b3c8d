"""The other kinds: what each refuses, at creation and later."""

import copy

import pytest
from tests.certificate_requests import encoded_request

from kubeberth.api import codec, defaults
from kubeberth.api.scheme import (
    CERTIFICATE_SIGNING_REQUESTS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    CRON_JOBS,
    CSI_STORAGE_CAPACITIES,
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    EVENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    INGRESS_CLASSES,
    INGRESSES,
    JOBS,
    LEASES,
    MUTATING_ADMISSION_POLICIES,
    MUTATING_ADMISSION_POLICY_BINDINGS,
    NAMESPACES,
    NEW_EVENTS,
    NODES,
    OLD_HORIZONTAL_POD_AUTOSCALERS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    POD_DISRUPTION_BUDGETS,
    PRIORITY_CLASSES,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    RESOURCE_SLICES,
    RESOURCES,
    ROLE_BINDINGS,
    ROLES,
    RUNTIME_CLASSES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
    STORAGE_CLASSES,
    VALIDATING_ADMISSION_POLICIES,
    VALIDATING_ADMISSION_POLICY_BINDINGS,
    VOLUME_ATTACHMENTS,
)
from kubeberth.api.validation import validate, validate_kind, validate_update

TEMPLATE = {
    "metadata": {"labels": {"app": "w"}},
    "spec": {"containers": [{"name": "c", "image": "x"}]},
}
WORKLOAD = {"spec": {"selector": {"matchLabels": {"app": "w"}}, "template": TEMPLATE}}
EVENT = {"involvedObject": {"kind": "Pod", "name": "p", "namespace": "n"}}
JOB = {"template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}
AUTOSCALER = {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 2}}
RULE = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
CONSTRAINTS = {"matchConstraints": {"resourceRules": [RULE]}}
MUTATION = {"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}
BINDING = {"roleRef": {"kind": "ClusterRole", "name": "r"}}
VALID = {
    CERTIFICATE_SIGNING_REQUESTS: {
        "spec": {
            "request": encoded_request(),
            "signerName": "a.example.com/b",
            "usages": ["client auth"],
        }
    },
    CLUSTER_ROLE_BINDINGS: BINDING,
    CRON_JOBS: {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": JOB}}},
    CSI_STORAGE_CAPACITIES: {"storageClassName": "c"},
    DAEMON_SETS: WORKLOAD,
    ENDPOINT_SLICES: {"addressType": "IPv4"},
    HORIZONTAL_POD_AUTOSCALERS: AUTOSCALER,
    INGRESSES: {"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}},
    INGRESS_CLASSES: {"spec": {"controller": "example.com/c"}},
    JOBS: {
        "spec": {
            **JOB,
            "manualSelector": True,
            "selector": {"matchLabels": {"app": "w"}},
            "template": {**TEMPLATE, **JOB["template"]},
        }
    },
    MUTATING_ADMISSION_POLICIES: {
        "spec": {**CONSTRAINTS, "mutations": [MUTATION], "reinvocationPolicy": "Never"}
    },
    MUTATING_ADMISSION_POLICY_BINDINGS: {"spec": {"policyName": "p"}},
    OLD_HORIZONTAL_POD_AUTOSCALERS: AUTOSCALER,
    PERSISTENT_VOLUMES: {
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/x"},
        }
    },
    PERSISTENT_VOLUME_CLAIMS: {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        }
    },
    REPLICATION_CONTROLLERS: {"spec": {"selector": {"app": "w"}, "template": TEMPLATE}},
    RESOURCE_SLICES: {
        "spec": {
            "driver": "gpu.example.com",
            "pool": {"name": "n1", "resourceSliceCount": 1},
            "nodeName": "n1",
        }
    },
    ROLE_BINDINGS: BINDING,
    RUNTIME_CLASSES: {"handler": "h"},
    STATEFUL_SETS: WORKLOAD,
    STORAGE_CLASSES: {"provisioner": "example.com/p"},
    VALIDATING_ADMISSION_POLICIES: {
        "spec": {**CONSTRAINTS, "validations": [{"expression": "true"}]}
    },
    VALIDATING_ADMISSION_POLICY_BINDINGS: {
        "spec": {"policyName": "p", "validationActions": ["Deny"]}
    },
    VOLUME_ATTACHMENTS: {
        "spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "v"}}
    },
    DEPLOYMENTS: WORKLOAD,
    REPLICA_SETS: WORKLOAD,
    SERVICES: {"spec": {"ports": [{"port": 80}]}},
    EVENTS: EVENT,
    NEW_EVENTS: {
        "eventTime": "2024-01-01T00:00:00.000000Z",
        "regarding": EVENT["involvedObject"],
        "reportingController": "c",
        "reportingInstance": "i",
        "action": "A",
        "reason": "R",
        "type": "Normal",
    },
}
TESTED_ELSEWHERE = ("customresourcedefinitions", "pods")
CREATED = [r for r in RESOURCES if "update" in r.verbs and r.plural not in TESTED_ELSEWHERE]
# Whose names may be anything that fits into a path, or that upstream does not look at.
FREELY_NAMED = (
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
    POD_DISRUPTION_BUDGETS,
    ROLES,
    ROLE_BINDINGS,
)
STRICTLY_NAMED = [r for r in CREATED if r not in FREELY_NAMED]


def document(resource, name="x", **fields):
    metadata = {"name": name, "resourceVersion": "1", "uid": "u"}
    if resource.namespaced:
        metadata["namespace"] = "n"
    fields = {**copy.deepcopy(VALID.get(resource, {})), **fields}
    fields["metadata"] = metadata | fields.get("metadata", {})
    made = codec.decode_document(fields, resource).document
    defaults.apply_defaults(resource, made)
    return made


def faults(resource, name="x", **fields):
    return [str(error) for error in validate(resource, document(resource, name, **fields))]


def update_faults(resource, before, after, sub=""):
    old, new = document(resource, **before), document(resource, **after)
    return [str(error) for error in validate_update(resource, new, old, sub)]


@pytest.mark.parametrize("resource", CREATED, ids=lambda r: r.rules_key)
def test_a_small_object_of_every_kind_is_valid_and_may_stay_as_it_is(resource):
    assert faults(resource) == []
    assert update_faults(resource, {}, {}) == []


@pytest.mark.parametrize("resource", STRICTLY_NAMED, ids=lambda r: r.rules_key)
def test_every_kind_refuses_a_bad_name_and_bad_labels(resource):
    found = faults(resource, "Bad_1", metadata={"labels": {"a": "b c"}})
    assert [text.partition(":")[0] for text in found] == ["metadata.name", "metadata.labels"]


@pytest.mark.parametrize("resource", CREATED, ids=lambda r: r.rules_key)
def test_identity_never_changes(resource):
    found = update_faults(resource, {}, {"metadata": {"uid": "v"}})
    assert 'metadata.uid: Invalid value: "v": field is immutable' in found


def test_cluster_wide_objects_have_no_namespace():
    assert faults(NODES, metadata={"namespace": "n"}) == [
        "metadata.namespace: Forbidden: not allowed on this type"
    ]


def test_a_namespaces_name_has_no_dots():
    assert faults(NAMESPACES, "a.b") == [
        'metadata.name: Invalid value: "a.b": must not contain dots'
    ]


def test_a_phase_follows_the_deletion():
    change = {"status": {"phase": "Terminating"}}
    assert update_faults(NAMESPACES, {}, change, "status") == [
        "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if "
        "`deletionTimestamp` is empty"
    ]


def test_an_object_has_one_controller():
    owner = {"apiVersion": "v1", "kind": "Pod", "uid": "u", "controller": True}
    owners = [{**owner, "name": name} for name in ("a", "b")]
    assert faults(SERVICE_ACCOUNTS, metadata={"ownerReferences": owners})[0].endswith(
        'Found "true" in references for Pod/a and Pod/b'
    )


def test_finalizers_are_qualified_and_none_is_added_to_what_is_being_deleted():
    assert faults(CONFIG_MAPS, metadata={"finalizers": ["mine"]}) == [
        'metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name '
        "nor is it fully qualified"
    ]
    deleted = {"metadata": {"deletionTimestamp": "2024-01-01T00:00:00Z"}}
    later = {"metadata": {**deleted["metadata"], "finalizers": ["a.io/b"]}}
    assert update_faults(CONFIG_MAPS, deleted, later)[0].startswith(
        "metadata.finalizers: Forbidden: no new finalizers can be added"
    )


def test_annotations_are_limited_in_size():
    assert faults(CONFIG_MAPS, metadata={"annotations": {"a": "x" * 262144}}) == [
        "metadata.annotations: Too long: may not be more than 262144 bytes"
    ]


@pytest.mark.parametrize("resource", [DEPLOYMENTS, REPLICA_SETS], ids=lambda r: r.kind)
def test_a_selector_selects_the_template_and_never_changes(resource):
    other = {"spec": {**WORKLOAD["spec"], "selector": {"matchLabels": {"app": "v"}}}}
    mismatch = (
        'spec.template.metadata.labels: Invalid value: {"app":"w"}: '
        "`selector` does not match template `labels`"
    )
    assert faults(resource, **other) == [mismatch]
    assert update_faults(resource, {}, other) == [
        mismatch,
        'spec.selector: Invalid value: {"matchLabels":{"app":"v"}}: field is immutable',
    ]


@pytest.mark.parametrize(
    ("rolling", "fault"),
    [
        ({"maxSurge": "x"}, "maxSurge: Invalid value"),
        ({"maxUnavailable": "150%"}, 'maxUnavailable: Invalid value: "150%": must not be greater'),
        ({"maxUnavailable": 0, "maxSurge": 0}, "maxUnavailable: Invalid value: 0: may not be 0"),
    ],
)
def test_a_rolling_update_has_to_be_able_to_move(rolling, fault):
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    found = faults(DEPLOYMENTS, spec={**WORKLOAD["spec"], "strategy": strategy})
    assert len(found) == 1
    assert found[0].startswith(f"spec.strategy.rollingUpdate.{fault}")


def test_ready_replicas_are_part_of_the_replicas():
    assert update_faults(DEPLOYMENTS, {}, {"status": {"readyReplicas": 1}}, "status") == [
        "status.readyReplicas: Invalid value: 1: cannot be greater than status.replicas"
    ]


def test_a_priority_keeps_its_value():
    assert update_faults(PRIORITY_CLASSES, {"value": 1}, {"value": 2}) == [
        "value: Forbidden: may not be changed in an update."
    ]
    assert faults(PRIORITY_CLASSES, value=1_000_000_001) == [
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"
    ]
    assert faults(PRIORITY_CLASSES, "system-node-critical", value=2_000_001_000) == []


def test_a_lease_lasts():
    assert faults(LEASES, spec={"leaseDurationSeconds": 0}) == [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"
    ]


def test_what_says_it_is_immutable_is():
    sealed = {"immutable": True, "data": {"a": "b"}}
    assert update_faults(CONFIG_MAPS, sealed, {**sealed, "data": {"a": "c"}}) == [
        "data: Forbidden: field is immutable when `immutable` is set"
    ]


def test_a_secret_keeps_its_type_and_has_the_keys_that_it_needs():
    assert update_faults(SECRETS, {}, {"type": "other"}) == [
        'type: Invalid value: "other": field is immutable'
    ]
    assert faults(SECRETS, type="kubernetes.io/tls") == [
        "data[tls.crt]: Required value",
        "data[tls.key]: Required value",
    ]


def test_keys_of_data_are_file_names():
    assert [text[:8] for text in faults(CONFIG_MAPS, data={"a/b": "", "..": ""})] == [
        "data[a/b",
        "data[..]",
    ]


def test_a_service_keeps_its_address():
    had = {"spec": {"ports": [{"port": 80}], "clusterIPs": ["10.0.0.1"]}}
    has = {"spec": {"ports": [{"port": 80}], "clusterIPs": ["10.0.0.2"]}}
    assert update_faults(SERVICES, had, has) == [
        'spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: field is immutable'
    ]


def test_several_ports_of_a_service_need_names():
    assert faults(SERVICES, spec={"ports": [{"port": 80}, {"port": 81}]}) == [
        "spec.ports[0].name: Required value",
        "spec.ports[1].name: Required value",
    ]


def test_an_event_lies_in_the_namespace_of_what_it_is_about():
    about = {"involvedObject": {"kind": "Pod", "namespace": "other"}}
    assert faults(EVENTS, **about) == [
        'involvedObject.namespace: Invalid value: "other": does not match event.namespace'
    ]


def test_new_events_have_to_be_complete():
    fields = [text.partition(":")[0] for text in faults(NEW_EVENTS, reason="", action="")]
    assert fields == ["action", "reason"]


def test_a_binding_names_a_node():
    found = validate_kind("Binding", {"target": {"kind": "Pod"}})
    assert [str(error) for error in found] == [
        'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"',
        "target.name: Required value",
    ]


def test_a_node_keeps_its_pod_ranges():
    before = {"spec": {"podCIDR": "10.1.0.0/24", "providerID": "a"}}
    assert update_faults(NODES, before, {"spec": {}}) == [
        'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
        "spec.providerID: Forbidden: node updates may not change providerID except from "
        '"" to valid',
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param("", "metadata.name: Required value", id="none"),
        pytest.param("a/b", "metadata.name: Invalid value", id="path"),
    ],
)
def test_a_disruption_budget_needs_a_name_that_fits_into_a_path(name, why):
    budget = {"metadata": {"name": name, "namespace": "default"}, "spec": {"minAvailable": 1}}
    [error] = validate(POD_DISRUPTION_BUDGETS, budget)
    assert str(error).startswith(why)


def test_what_changed_of_a_claim_or_a_volume_is_shown():
    claim = VALID[PERSISTENT_VOLUME_CLAIMS]
    selector = {"matchLabels": {"a": "b"}}
    changed = {"spec": {**claim["spec"], "selector": selector, "storageClassName": "c"}}
    before = {"spec": {**claim["spec"], "storageClassName": "b"}}
    assert update_faults(PERSISTENT_VOLUME_CLAIMS, before, changed) == [
        "spec: Forbidden: spec is immutable after creation except resources.requests and "
        "volumeAttributesClassName for bound claims\n"
        "@@ -2,7 +2,11 @@\n"
        '  "AccessModes": [\n'
        '   "ReadWriteOnce"\n'
        "  ],\n"
        '- "Selector": null,\n'
        '+ "Selector": {\n'
        '+  "matchLabels": {\n'
        '+   "a": "b"\n'
        "+  }\n"
        "+ },\n"
        '  "Resources": {\n'
        '   "Limits": null,\n'
        '   "Requests": {\n'
        "@@ -10,7 +14,7 @@\n"
        "   }\n"
        "  },\n"
        '  "VolumeName": "",\n'
        '- "StorageClassName": "b",\n'
        '+ "StorageClassName": "c",\n'
        '  "VolumeMode": "Filesystem",\n'
        '  "DataSource": null,\n'
        '  "DataSourceRef": null,\n'
    ]
    volume = VALID[PERSISTENT_VOLUMES]
    moved = {"spec": {**volume["spec"], "hostPath": {"path": "/y"}}}
    (fault,) = update_faults(PERSISTENT_VOLUMES, {}, moved)
    assert fault.endswith(
        '  "HostPath": {\n-  "Path": "/x",\n+  "Path": "/y",\n   "Type": ""\n  },\n'
        '  "Glusterfs": null,\n'
    )
