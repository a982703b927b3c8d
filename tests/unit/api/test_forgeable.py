"""What hangs on labels that a kubelet may set on its own node."""

from __future__ import annotations

import pytest

from kubeberth.api.forgeable import ShapeError, forgeable_uses, protected_key, shown_path


def deployment(**spec):
    return {"kind": "Deployment", "spec": {"template": {"spec": spec}}}


def expressions(*keys):
    return {"matchExpressions": [{"key": key, "operator": "Exists"} for key in keys]}


def affinity(*, required=(), preferred=()):
    rules = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(required)},
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "preference": term} for term in preferred
        ],
    }
    return {"affinity": {"nodeAffinity": rules}}


def keys_of(document):
    return [use.key for use in forgeable_uses(document)]


@pytest.mark.parametrize(
    "key",
    [
        "disktype",
        "example.com/tier",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "node.kubernetes.io/anything",
        "feature.node.kubernetes.io/cpu",
        "kubelet.kubernetes.io/x",
        "failure-domain.beta.kubernetes.io/zone",
    ],
)
def test_what_a_kubelet_may_set_is_found(key):
    assert keys_of(deployment(nodeSelector={key: "x"})) == [key]


@pytest.mark.parametrize(
    "key",
    [
        "node-restriction.kubernetes.io/pci",
        "example.com.node-restriction.kubernetes.io/pci",
        "node-role.kubernetes.io/control-plane",
        "topology.kubernetes.io/rack",
        "foo.k8s.io/bar",
    ],
)
def test_what_only_administrators_set_is_not(key):
    assert keys_of(deployment(nodeSelector={key: "x"})) == []


def test_required_affinity_is_a_warning_and_preferred_affinity_is_information():
    spec = affinity(
        required=[expressions("a"), expressions("b", "c")], preferred=[expressions("d")]
    )
    found = {use.key: use.severity for use in forgeable_uses(deployment(**spec))}
    assert found == {"a": "warning", "b": "warning", "c": "warning", "d": "info"}


@pytest.mark.parametrize(
    ("kind", "wrapped"),
    [
        ("Pod", lambda spec: {"spec": spec}),
        ("PodTemplate", lambda spec: {"template": {"spec": spec}}),
        ("ReplicationController", lambda spec: {"spec": {"template": {"spec": spec}}}),
        ("Job", lambda spec: {"spec": {"template": {"spec": spec}}}),
        (
            "CronJob",
            lambda spec: {"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}},
        ),
        ("Rollout", lambda spec: {"spec": {"template": {"spec": spec}}}),
        ("RuntimeClass", lambda spec: {"scheduling": spec}),
    ],
)
def test_every_kind_that_places_pods_is_looked_at(kind, wrapped):
    document = {"kind": kind, **wrapped({"nodeSelector": {"disktype": "ssd"}})}
    assert keys_of(document) == ["disktype"]


def test_the_node_selector_of_a_namespace_is_one_too():
    note = "scheduler.alpha.kubernetes.io/node-selector"
    document = {"kind": "Namespace", "metadata": {"annotations": {note: "env=prod, b=c"}}}
    assert keys_of(document) == ["env", "b"]


def test_the_path_names_the_field_where_the_key_stands():
    [use] = forgeable_uses(deployment(**affinity(required=[expressions("ok.k8s.io/a", "b")])))
    assert shown_path(use.path) == (
        "spec.template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
        ".nodeSelectorTerms[0].matchExpressions[1].key"
    )
    [use] = forgeable_uses(deployment(nodeSelector={"example.com/a": "b"}))
    assert shown_path(use.path) == "spec.template.spec.nodeSelector[example.com/a]"


def test_the_protected_label_keeps_a_domain_of_ones_own():
    assert protected_key("disktype") == "node-restriction.kubernetes.io/disktype"
    assert protected_key("kubernetes.io/hostname") == "node-restriction.kubernetes.io/hostname"
    assert protected_key("node.kubernetes.io/x") == "node-restriction.kubernetes.io/x"
    assert protected_key("example.com/a") == "example.com.node-restriction.kubernetes.io/a"


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (deployment(nodeSelector=["a"]), "spec.template.spec.nodeSelector: must be a mapping"),
        ({"kind": "Pod", "spec": "none"}, "spec: must be a mapping"),
        (
            deployment(**affinity(required=["a"])),
            "nodeSelectorTerms[0]: must be a mapping",
        ),
        (
            deployment(**affinity(required=[{"matchExpressions": {"key": "a"}}])),
            "matchExpressions: must be a list",
        ),
    ],
)
def test_what_is_malformed_is_named(document, why):
    with pytest.raises(ShapeError) as found:
        forgeable_uses(document)
    assert str(found.value).endswith(why)


def test_what_is_left_out_or_null_is_no_fault():
    assert keys_of({"kind": "Pod", "spec": {"nodeSelector": None, "affinity": {}}}) == []
    assert keys_of({"kind": "ConfigMap", "data": {"a": "b"}}) == []
