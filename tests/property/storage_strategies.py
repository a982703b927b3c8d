"""Hypothesis strategies: a handful of claims and volumes that keep meeting each other."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from kubeberth.api.storage import (
    CSIDriver,
    CSINode,
    CSIStorageCapacity,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    StorageObject,
    VolumeAttachment,
)

Document = dict[str, Any]

ZONE, BETA_ZONE = "topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"
CLAIMS = ["claim-0", "claim-1", "claim-2", "claim-3"]
VOLUMES = ["volume-0", "volume-1", "volume-2", "volume-3", "volume-4"]
# The owner of an ephemeral claim; pods of that name make it.
OWNER_UID = "uid-of-the-owner"

_CLASSES: list[Document] = [
    {"metadata": {"name": "local"}, "provisioner": "kubernetes.io/no-provisioner"},
    {"metadata": {"name": "made"}, "provisioner": "csi.example.com"},
    {"metadata": {"name": "counted"}, "provisioner": "block.example.com"},
    {
        "metadata": {"name": "zonal"},
        "provisioner": "csi.example.com",
        "allowedTopologies": [
            {"matchLabelExpressions": [{"key": ZONE, "values": ["zone-0", "zone-1"]}]}
        ],
    },
]
ALWAYS_THERE: list[StorageObject] = [
    *(
        msgspec.convert({**document, "volumeBindingMode": "WaitForFirstConsumer"}, StorageClass)
        for document in _CLASSES
    ),
    msgspec.convert(
        {
            "metadata": {"name": "now"},
            "provisioner": "csi.example.com",
            "volumeBindingMode": "Immediate",
        },
        StorageClass,
    ),
    msgspec.convert(
        {"metadata": {"name": "block.example.com"}, "spec": {"storageCapacity": True}}, CSIDriver
    ),
]
_class_names = st.sampled_from(["local"] * 4 + ["made", "counted", "zonal", "made", "now"])
_sizes = st.sampled_from(["1Gi", "2Gi", "5Gi"])
_modes = st.sampled_from([["ReadWriteOnce"], ["ReadWriteOncePod"], ["ReadWriteMany"]])


@st.composite
def claims(draw: st.DrawFn, node_names: list[str]) -> PersistentVolumeClaim:
    """Return a claim in some stage of its life."""
    annotations, owners = {}, []
    stage = draw(st.sampled_from(["fresh"] * 8 + ["bound"] * 4 + ["selected", "half"]))
    name = draw(st.sampled_from([*CLAIMS, "owner-own"]))
    if name == "owner-own" and draw(st.integers(0, 3)):
        owners = [{"kind": "Pod", "name": "owner", "uid": OWNER_UID, "controller": True}]
    if stage == "selected":
        annotations["volume.kubernetes.io/selected-node"] = draw(st.sampled_from(node_names))
    if stage == "bound":
        annotations["pv.kubernetes.io/bind-completed"] = "yes"
    is_going = draw(st.integers(0, 19)) == 0
    document = {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": draw(st.sampled_from(["uid-1", "uid-1", "uid-2"])),
            "annotations": annotations,
            "ownerReferences": owners,
            "deletionTimestamp": "2026-01-01T00:00:00Z" if is_going else None,
        },
        "spec": {
            "accessModes": draw(_modes),
            "resources": {"requests": {"storage": draw(_sizes)}},
            "storageClassName": draw(_class_names),
            "volumeName": draw(st.sampled_from(VOLUMES)) if stage in ("bound", "half") else "",
        },
        "status": {"phase": draw(st.sampled_from(["Pending"] * 19 + ["Lost"]))},
    }
    if draw(st.integers(0, 4)) == 0:
        document["spec"]["selector"] = {"matchLabels": {"media": "ssd"}}
    return msgspec.convert(document, PersistentVolumeClaim)


@st.composite
def volumes(draw: st.DrawFn, node_names: list[str]) -> PersistentVolume:
    """Return a volume, free or taken, here or there."""
    labels = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "media": st.just("ssd"),
                ZONE: st.sampled_from(["zone-0", "zone-1__zone-2"]),
                BETA_ZONE: st.just("zone-0"),
            },
        )
    )
    name = draw(st.sampled_from(VOLUMES))
    spec: Document = {
        "accessModes": ["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"],
        "capacity": {"storage": draw(_sizes)},
        "storageClassName": draw(st.sampled_from(["local", "local", "made", "counted"])),
    }
    if draw(st.booleans()):
        spec["csi"] = {"driver": "csi.example.com", "volumeHandle": draw(st.sampled_from("hij"))}
    where = draw(st.sampled_from(["anywhere", "host", "hosts", "zone", "not zone"]))
    if where != "anywhere":
        key = ZONE if "zone" in where else HOST
        known = ["zone-0", "zone-1"] if "zone" in where else node_names
        n_values = 2 if where == "hosts" else 1
        values = draw(st.lists(st.sampled_from(known), min_size=n_values, max_size=n_values))
        operator = "NotIn" if where == "not zone" else "In"
        expression = {"key": key, "operator": operator, "values": values}
        terms = [{"matchExpressions": [expression]}]
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    if draw(st.integers(0, 3)) == 0:
        owner = {"namespace": "default", "name": draw(st.sampled_from(CLAIMS))}
        spec["claimRef"] = {**owner, "uid": draw(st.sampled_from(["", "uid-1"]))}
    document = {
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"phase": draw(st.sampled_from(["Available"] * 4 + ["Released"]))},
    }
    return msgspec.convert(document, PersistentVolume)


@st.composite
def csi_nodes(draw: st.DrawFn, node_names: list[str]) -> CSINode:
    """Return what a node says about its drivers."""
    drivers = ["csi.example.com", "pd.csi.storage.gke.io"]
    counts = st.sampled_from([None, {"count": 0}, {"count": 1}, {"count": 2}])
    migrated = draw(st.sampled_from(["", "kubernetes.io/gce-pd,kubernetes.io/aws-ebs"]))
    document = {
        "metadata": {
            "name": draw(st.sampled_from(node_names)),
            "annotations": {"storage.alpha.kubernetes.io/migrated-plugins": migrated},
        },
        "spec": {"drivers": [{"name": name, "allocatable": draw(counts)} for name in drivers]},
    }
    return msgspec.convert(document, CSINode)


@st.composite
def capacities(draw: st.DrawFn) -> CSIStorageCapacity:
    """Return how much room some nodes reach."""
    zones = st.sampled_from([None, {}, {"matchLabels": {ZONE: "zone-0"}}])
    document = {
        "metadata": {"name": draw(st.sampled_from("ab")), "namespace": "default"},
        "storageClassName": draw(st.sampled_from(["counted", "made"])),
        "nodeTopology": draw(zones),
        "capacity": draw(st.sampled_from([None, "1Gi", "10Gi"])),
        "maximumVolumeSize": draw(st.sampled_from([None, None, "2Gi"])),
    }
    return msgspec.convert(document, CSIStorageCapacity)


@st.composite
def attachments(draw: st.DrawFn, node_names: list[str]) -> VolumeAttachment:
    """Return a volume that is attached somewhere."""
    document = {
        "metadata": {"name": draw(st.sampled_from("xyz"))},
        "spec": {
            "attacher": "csi.example.com",
            "nodeName": draw(st.sampled_from(node_names)),
            "source": {"persistentVolumeName": draw(st.sampled_from(VOLUMES))},
        },
    }
    return msgspec.convert(document, VolumeAttachment)


def storage_objects(node_names: list[str]) -> st.SearchStrategy[StorageObject]:
    """Return any of them, claims and volumes more often than the rest."""
    return st.one_of(
        claims(node_names),
        claims(node_names),
        volumes(node_names),
        volumes(node_names),
        csi_nodes(node_names),
        capacities(),
        attachments(node_names),
    )


_flags = st.fixed_dictionaries({}, optional={"readOnly": st.booleans()})


def _inline(field: str, **options: Any) -> st.SearchStrategy[Document]:
    return st.builds(lambda flag: {field: {**options, **flag}}, _flags)


pod_volumes = st.lists(
    st.one_of(
        st.sampled_from(CLAIMS).map(lambda name: {"persistentVolumeClaim": {"claimName": name}}),
        st.sampled_from(CLAIMS).map(lambda name: {"persistentVolumeClaim": {"claimName": name}}),
        _inline("gcePersistentDisk", pdName="disk"),
        _inline("awsElasticBlockStore", volumeID="disk"),
        _inline("iscsi", iqn="iqn.2026-01.com.example:disk"),
        _inline("rbd", image="disk", monitors=["m1", "m2"]),
        _inline("rbd", image="disk", monitors=["m2", "m3"]),
        _inline("rbd", image="disk", monitors=["m3"]),
        st.just({"name": "own", "ephemeral": {}}),
        st.just({"configMap": {"name": "irrelevant"}}),
    ),
    min_size=1,
    max_size=2,
)
