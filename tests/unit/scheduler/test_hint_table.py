"""Which event wakes a pod that which rule has refused: every rule against every kind of event.

The rows are those of kube-scheduler 1.36 (EventsToRegister and the hint of each plugin): an event
that a rule has not registered wakes nobody, one that it has wakes if its hint says so.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.placement.builders import HOST, ZONE, far, make_node, make_pod, near, term

from kubeberth.api.core import Pod
from kubeberth.api.storage import (
    MIGRATED_PLUGINS,
    CSIDriver,
    CSINode,
    CSIStorageCapacity,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    VolumeAttachment,
)
from kubeberth.placement.request import to_node_rules
from kubeberth.scheduler.hints import (
    ClusterEvent,
    NodeEvent,
    OwnEvent,
    PlacedPodEvent,
    StorageEvent,
    Waiting,
    may_help,
)

LABELS = {ZONE: "z", HOST: "a", "disktype": "ssd"}


def node(**fields: Any) -> Any:
    return make_node("a", **{"labels": LABELS, **fields})


def declaring(*features: str) -> Any:
    found = node()
    status = msgspec.structs.replace(found.status, declared_features=features)
    return msgspec.structs.replace(found, status=status)


def stored(kind: type[Any], name: str = "data", **fields: Any) -> Any:
    metadata = {"name": name, "namespace": "default", **fields.pop("metadata", {})}
    return msgspec.convert({"metadata": metadata, **fields}, kind)


def changed(pod: Pod, **fields: Any) -> Pod:
    return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, **fields))


TAINT = [{"key": "dedicated", "effect": "NoSchedule"}]
CLAIM = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
PORT = [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 80}]}]
SPREAD = {
    "topologyKey": ZONE,
    "maxSkew": 1,
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "web"}},
}

# Pods that wait, each with what some rule has refused it for.
PODS = {
    "NodeUnschedulable": make_pod("web"),
    "NodeName": make_pod("web"),
    "TaintToleration": make_pod("web"),
    "NodeAffinity": make_pod("web", nodeSelector={"disktype": "ssd"}),
    "NodePorts": make_pod("web", containers=PORT),
    "NodeResourcesFit": make_pod("web", requests={"cpu": "2"}),
    "VolumeRestrictions": make_pod("web", volumes=[CLAIM]),
    "NodeVolumeLimits": make_pod("web", volumes=[CLAIM]),
    "VolumeBinding": make_pod("web", volumes=[CLAIM]),
    "VolumeZone": make_pod("web", volumes=[CLAIM]),
    "PodTopologySpread": make_pod("web", labels={"app": "web"}, topologySpreadConstraints=[SPREAD]),
    "InterPodAffinity": make_pod(
        "web",
        labels={"app": "web"},
        affinity={**near(term(ZONE, "db")), **far(term(HOST, "web"))},
    ),
    "NodeDeclaredFeatures": make_pod("web"),
}
RULES = tuple(PODS)

# One pod that has everything that anybody may wait for to go, or to come.
BUSY = make_pod("busy", labels={"app": "web"}, containers=PORT, volumes=[CLAIM])
FRIEND = make_pod("friend", labels={"app": "db"})
BOUND = "VolumeRestrictions NodeVolumeLimits NodePorts NodeResourcesFit"

EVENTS: dict[str, tuple[ClusterEvent, str]] = {
    "a node comes": (NodeEvent(None, node(cpu="4")), " ".join(set(RULES) - {"NodeVolumeLimits"})),
    "a node goes": (NodeEvent(node(), None), "PodTopologySpread"),
    "a node has more to give": (
        NodeEvent(node(cpu="1"), node(cpu="4")),
        "NodeResourcesFit",
    ),
    "a node has less to give": (NodeEvent(node(cpu="4"), node(cpu="3")), ""),
    "a node gets the labels": (
        NodeEvent(node(labels={}), node()),
        "NodeAffinity VolumeBinding VolumeZone PodTopologySpread InterPodAffinity",
    ),
    "a node gets a label that says nothing": (
        NodeEvent(node(), node(labels={**LABELS, "x": "y"})),
        "VolumeBinding VolumeZone",
    ),
    "a taint goes": (
        NodeEvent(node(taints=TAINT), node()),
        # All but those with a say of their own, of which those remain whom it helps.
        " ".join(set(RULES) - {"NodeUnschedulable", "NodeVolumeLimits"}),
    ),
    "a taint comes": (
        NodeEvent(node(), node(taints=TAINT)),
        " ".join(set(RULES) - {"NodeUnschedulable", "NodeVolumeLimits", "TaintToleration"}),
    ),
    "a cordon is lifted": (
        NodeEvent(node(unschedulable=True), node()),
        " ".join(set(RULES) - {"NodeVolumeLimits", "TaintToleration", "PodTopologySpread"}),
    ),
    "features are declared": (
        NodeEvent(node(), declaring("New")),
        "NodeDeclaredFeatures",
    ),
    "a busy pod goes": (PlacedPodEvent(BUSY, None), f"{BOUND} PodTopologySpread InterPodAffinity"),
    "a busy pod comes": (PlacedPodEvent(None, BUSY), "PodTopologySpread"),
    "a friend comes": (PlacedPodEvent(None, FRIEND), "InterPodAffinity"),
    "a friend goes": (PlacedPodEvent(FRIEND, None), "NodeResourcesFit"),
    "a pod becomes a friend": (
        PlacedPodEvent(BUSY, FRIEND),
        "InterPodAffinity PodTopologySpread",
    ),
    "a pod asks for less": (
        PlacedPodEvent(make_pod("p", requests={"cpu": "2"}), make_pod("p", requests={"cpu": "1"})),
        "NodeResourcesFit",
    ),
    "the claim comes": (
        StorageEvent(None, stored(PersistentVolumeClaim)),
        "VolumeRestrictions NodeVolumeLimits VolumeBinding VolumeZone",
    ),
    "the claim changes": (
        StorageEvent(stored(PersistentVolumeClaim), stored(PersistentVolumeClaim)),
        "VolumeBinding VolumeZone",
    ),
    "another claim comes": (StorageEvent(None, stored(PersistentVolumeClaim, "other")), ""),
    "a volume comes": (StorageEvent(None, stored(PersistentVolume)), "VolumeBinding VolumeZone"),
    "a volume changes": (
        StorageEvent(stored(PersistentVolume), stored(PersistentVolume)),
        "VolumeBinding",
    ),
    "a volume moves": (
        StorageEvent(
            stored(PersistentVolume), stored(PersistentVolume, metadata={"labels": {ZONE: "z"}})
        ),
        "VolumeBinding VolumeZone",
    ),
    "a class that waits comes": (
        StorageEvent(None, stored(StorageClass, volumeBindingMode="WaitForFirstConsumer")),
        "VolumeBinding VolumeZone",
    ),
    "a class reaches further": (
        StorageEvent(
            stored(StorageClass),
            stored(StorageClass, allowedTopologies=[{"matchLabelExpressions": []}]),
        ),
        "VolumeBinding",
    ),
    "drivers come": (StorageEvent(None, stored(CSINode)), "NodeVolumeLimits VolumeBinding"),
    "a driver migrates": (
        StorageEvent(
            stored(CSINode), stored(CSINode, metadata={"annotations": {MIGRATED_PLUGINS: "x"}})
        ),
        "VolumeBinding",
    ),
    "a driver attaches more": (
        StorageEvent(
            stored(CSINode, spec={"drivers": [{"name": "d", "allocatable": {"count": 1}}]}),
            stored(CSINode, spec={"drivers": [{"name": "d", "allocatable": {"count": 2}}]}),
        ),
        "NodeVolumeLimits",
    ),
    "a volume is detached": (StorageEvent(stored(VolumeAttachment), None), "NodeVolumeLimits"),
    "there is capacity": (
        StorageEvent(None, stored(CSIStorageCapacity, capacity="1Gi")),
        "VolumeBinding",
    ),
    "there is more capacity": (
        StorageEvent(
            stored(CSIStorageCapacity, capacity="1Gi"), stored(CSIStorageCapacity, capacity="2Gi")
        ),
        "VolumeBinding",
    ),
    "there is less capacity": (
        StorageEvent(
            stored(CSIStorageCapacity, capacity="2Gi"), stored(CSIStorageCapacity, capacity="1Gi")
        ),
        "",
    ),
    "capacity counts no more": (
        StorageEvent(
            stored(CSIDriver, spec={"storageCapacity": True}),
            stored(CSIDriver, spec={"storageCapacity": False}),
        ),
        "VolumeBinding",
    ),
}


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("rule", RULES)
def test_an_event_wakes_whom_it_may_help_and_nobody_else(rule: str, name: str) -> None:
    event, woken = EVENTS[name]
    assert may_help(rule, event, Waiting(PODS[rule]), {}) is (rule in woken.split())


TOLERANT = [{"operator": "Exists"}]


@pytest.mark.parametrize(
    ("rule", "before", "after", "expected"),
    [
        ("NodeUnschedulable", {}, {"tolerations": TOLERANT}, True),
        ("NodeUnschedulable", {}, {"tolerations": [{"key": "x"}]}, False),
        ("TaintToleration", {}, {"tolerations": TOLERANT}, True),
        ("NodeName", {}, {"tolerations": TOLERANT}, False),
        ("NodeAffinity", {}, {"tolerations": TOLERANT}, False),
        ("SchedulingGates", {"schedulingGates": [{"name": "g"}]}, {}, True),
        ("SchedulingGates", {}, {"schedulingGates": [{"name": "g"}]}, False),
        ("InterPodAffinity", {"labels": {"a": "b"}}, {"labels": {"a": "c"}}, True),
        ("InterPodAffinity", {}, {"tolerations": TOLERANT}, False),
        ("NodeResourcesFit", {"requests": {"cpu": "2"}}, {"requests": {"cpu": "1"}}, True),
        ("NodeResourcesFit", {"requests": {"cpu": "1"}}, {"requests": {"cpu": "2"}}, False),
        (
            "NodeResourcesFit",
            {"requests": {"cpu": "2", "x.io/y": "1"}},
            {"requests": {"cpu": "2"}},
            True,
        ),
        ("NodeDeclaredFeatures", {}, {"tolerations": TOLERANT}, False),
    ],
)
def test_what_a_pod_changes_of_itself_wakes_it_if_the_rule_looks_at_that(
    rule: str, before: dict[str, Any], after: dict[str, Any], expected: bool
) -> None:
    old, new = make_pod("web", **before), make_pod("web", **after)
    assert may_help(rule, OwnEvent(old, new), Waiting(new), {}) is expected


def test_a_pod_with_a_disk_of_an_old_kind_waits_for_one_to_be_detached() -> None:
    disk = {"name": "v", "awsElasticBlockStore": {"volumeID": "vol-1"}}
    pod = make_pod("web", volumes=[disk])
    detached = StorageEvent(stored(VolumeAttachment), None)
    assert may_help("NodeVolumeLimits", detached, Waiting(pod), {})


def test_a_pod_that_needs_other_features_is_tried_again() -> None:
    old = make_pod("web")
    new = changed(old, host_network=True, host_users=False)
    event = OwnEvent(old, new)
    assert may_help("NodeDeclaredFeatures", event, Waiting(new), {})


def test_what_the_profile_adds_to_node_affinity_counts_as_the_pods_own() -> None:
    added = to_node_rules(make_pod("any", nodeSelector={"pool": "berth"}).spec)
    joins = NodeEvent(node(), node(labels={**LABELS, "pool": "berth"}))
    ssd = PODS["NodeAffinity"]
    assert may_help("NodeAffinity", joins, Waiting(ssd, added), {})
    assert not may_help("NodeAffinity", joins, Waiting(ssd), {})
    other = NodeEvent(node(), node(labels={**LABELS, "pool": "other"}))
    assert not may_help("NodeAffinity", other, Waiting(ssd, added), {})
