"""Placements of a cluster that hang on forgeable labels, and who set these."""

from __future__ import annotations

from kubeberth.library.label_audit import audit_labels

SELECTOR = {"nodeSelector": {"disktype": "ssd"}}


def anything(kind, name, uid, spec, owner=""):
    metadata = {"name": name, "namespace": "lab", "uid": uid}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    return {"kind": kind, "metadata": metadata, "spec": spec}


def workload(kind, name, uid, spec, owner=""):
    return anything(kind, name, uid, {"template": {"spec": spec}}, owner)


def node(name, **managers):
    """A node with labels, each set by whom it says."""
    entries = [
        {"manager": manager, "fieldsV1": {"f:metadata": {"f:labels": {f"f:{label}": {}}}}}
        for label, owners in managers.items()
        for manager in owners.split()
    ]
    labels = dict.fromkeys(managers, "x")
    return {"metadata": {"name": name, "labels": labels, "managedFields": entries}}


def test_pods_are_counted_with_the_workload_that_placed_them_so():
    objects = [
        workload("Deployment", "web", "1", SELECTOR),
        workload("ReplicaSet", "web-1", "2", SELECTOR, "1"),
        anything("Pod", "web-1-a", "3", SELECTOR, "2"),
        anything("Pod", "web-1-b", "4", SELECTOR, "2"),
        anything("Pod", "lone", "5", {}),
    ]
    [placement] = audit_labels(objects, []).placements
    assert (placement.kind, placement.name, placement.pods) == ("Deployment", "web", 2)
    assert placement.field == "spec.template.spec.nodeSelector.disktype"
    assert placement.use_instead == "node-restriction.kubernetes.io/disktype"


def test_a_label_that_the_pod_alone_has_is_the_pods():
    objects = [
        workload("ReplicaSet", "web", "1", {}),
        anything("Pod", "web-a", "2", SELECTOR, "1"),
    ]
    [placement] = audit_labels(objects, []).placements
    assert (placement.kind, placement.name, placement.pods) == ("Pod", "web-a", 1)


def test_who_set_a_label_is_told_by_managed_fields():
    nodes = [
        node("b", disktype="kubelet"),
        node("a", disktype="kubectl-label other", zone="kubelet"),
    ]
    found = audit_labels([anything("Pod", "a", "1", SELECTOR)], nodes).node_labels
    assert [(label.node, label.managers, label.is_self_set) for label in found] == [
        ("a", ["kubectl-label", "other"], False),
        ("b", ["kubelet"], True),
    ]


def test_labels_that_no_placement_hangs_on_are_shown_on_demand():
    nodes = [node("a", **{"disktype": "kubelet", "node-restriction.kubernetes.io/x": "admin"})]
    assert audit_labels([], nodes).node_labels == []
    [label] = audit_labels([], nodes, all_labels=True).node_labels
    assert label.label == "disktype"


def test_owners_in_a_circle_come_to_an_end():
    objects = [
        workload("ReplicaSet", "a", "1", SELECTOR, "2"),
        workload("ReplicaSet", "b", "2", SELECTOR, "1"),
    ]
    assert len(audit_labels(objects, []).placements) == 2


def test_the_worst_of_several_uses_is_told():
    wish = {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"preference": {"matchExpressions": [{"key": "disktype", "operator": "Exists"}]}}
        ]
    }
    pod = anything("Pod", "a", "1", {**SELECTOR, "affinity": {"nodeAffinity": wish}})
    [placement] = audit_labels([pod], []).placements
    assert placement.severity == "warning"
