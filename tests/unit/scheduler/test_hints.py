from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.placement.builders import (
    HOST,
    ZONE,
    far,
    make_node,
    make_pod,
    near,
    term,
)

from kubeberth.api.core import Node, Pod, Toleration
from kubeberth.api.storage import (
    CSINode,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
)
from kubeberth.scheduler.hints import (
    ClusterEvent,
    NodeEvent,
    OwnEvent,
    PlacedPodEvent,
    StorageEvent,
    Waiting,
    is_news,
    may_help,
)
from kubeberth.topology.names import ALLOCATIONS_ANNOTATION, LAYOUT_ANNOTATION


def helps(plugin: str, event: ClusterEvent, pod: Pod) -> bool:
    return may_help(plugin, event, Waiting(pod), {})


def relabelled(labels: dict[str, str]) -> NodeEvent:
    return NodeEvent(make_node("a"), make_node("a", labels=labels))


SSD = make_pod("web", nodeSelector={"disktype": "ssd"})
TAINT = [{"key": "dedicated", "effect": "NoSchedule"}]


def test_node_affinity_waits_for_a_node_that_begins_to_match() -> None:
    assert helps("NodeAffinity", relabelled({"disktype": "ssd"}), SSD)
    assert not helps("NodeAffinity", relabelled({"disktype": "hdd"}), SSD)
    matched_before = NodeEvent(
        make_node("a", labels={"disktype": "ssd"}),
        make_node("a", labels={"disktype": "ssd", "x": "y"}),
    )
    assert not helps("NodeAffinity", matched_before, SSD)


def spread(*keys: str, **more: Any) -> Pod:
    """Return a pod that is to be spread over some keys with the others of its app."""
    constraints = [
        {
            "topologyKey": key,
            "maxSkew": 1,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}},
            **more,
        }
        for key in keys
    ]
    return make_pod("web", labels={"app": "web"}, topologySpreadConstraints=constraints)


def test_spreading_waits_for_pods_that_it_counts_to_come_or_go() -> None:
    one, other = make_pod("one", labels={"app": "web"}), make_pod("two", labels={"app": "db"})
    guest = make_pod("guest", namespace="other", labels={"app": "web"})
    for pod, expected in ((one, True), (other, False), (guest, False)):
        assert helps("PodTopologySpread", PlacedPodEvent(pod, None), spread(ZONE)) is expected
        assert helps("PodTopologySpread", PlacedPodEvent(None, pod), spread(ZONE)) is expected
    assert helps("PodTopologySpread", PlacedPodEvent(one, other), spread(ZONE))
    assert not helps("PodTopologySpread", PlacedPodEvent(one, one), spread(ZONE))


def test_spreading_waits_for_nodes_that_have_all_keys() -> None:
    both, only = {ZONE: "1", "rack": "1"}, {ZONE: "1"}
    pod = spread(ZONE, "rack")
    assert helps("PodTopologySpread", relabelled(both), pod)
    assert not helps("PodTopologySpread", relabelled(only), pod)
    full = make_node("a", labels=both)
    assert helps("PodTopologySpread", NodeEvent(None, full), pod)
    assert helps("PodTopologySpread", NodeEvent(full, None), pod)
    moved = make_node("a", labels={**both, ZONE: "2"})
    assert helps("PodTopologySpread", NodeEvent(full, moved), pod)
    unrelated = make_node("a", labels={**both, "x": "y"})
    assert not helps("PodTopologySpread", NodeEvent(full, unrelated), pod)


def test_taints_matter_to_spreading_on_nodes_that_have_all_keys() -> None:
    tainted = make_node("a", labels={ZONE: "1"}, taints=TAINT)
    event = NodeEvent(make_node("a", labels={ZONE: "1"}), tainted)
    assert helps("PodTopologySpread", event, spread(ZONE))
    assert not helps("PodTopologySpread", event, spread("rack"))


def test_own_tolerations_matter_to_spreading_that_honors_taints() -> None:
    for policy, expected in (("Honor", True), ("Ignore", False)):
        pod = spread(ZONE, nodeTaintsPolicy=policy)
        tolerations = (Toleration(key="dedicated", operator="Exists"),)
        spec = msgspec.structs.replace(pod.spec, tolerations=tolerations)
        event = OwnEvent(pod, msgspec.structs.replace(pod, spec=spec))
        assert helps("PodTopologySpread", event, pod) is expected


def test_spreading_by_the_profiles_own_constraints_waits_for_anything() -> None:
    assert helps("PodTopologySpread", NodeEvent(make_node("a"), None), make_pod("web"))


def test_cordon_that_is_lifted() -> None:
    lifted = NodeEvent(make_node("a", unschedulable=True), make_node("a"))
    assert helps("NodeUnschedulable", lifted, make_pod("web"))
    assert not helps("NodeUnschedulable", relabelled({"x": "y"}), make_pod("web"))


def test_taint_that_goes() -> None:
    gone = NodeEvent(make_node("a", taints=TAINT), make_node("a"))
    assert helps("TaintToleration", gone, make_pod("web"))
    came = NodeEvent(make_node("a"), make_node("a", taints=TAINT))
    assert not helps("TaintToleration", came, make_pod("web"))


def test_any_change_of_taints_wakes_pods_of_other_rules_as_upstream_does() -> None:
    came = NodeEvent(make_node("a"), make_node("a", taints=TAINT))
    assert helps("NodeResourcesFit", came, make_pod("web"))


def test_room_comes_from_bigger_nodes_and_leaving_pods() -> None:
    big = make_pod("big", requests={"cpu": "3"})
    grown = NodeEvent(make_node("a", cpu="2"), make_node("a", cpu="4"))
    assert helps("NodeResourcesFit", grown, big)
    still_small = NodeEvent(make_node("a", cpu="1"), make_node("a", cpu="2"))
    assert not helps("NodeResourcesFit", still_small, big)
    assert helps("NodeResourcesFit", PlacedPodEvent(make_pod("old"), None), big)
    assert not helps("NodeResourcesFit", PlacedPodEvent(None, make_pod("new")), big)


def test_friend_that_comes_and_rival_that_goes() -> None:
    friend, rival = (make_pod(name, labels={"app": name}) for name in ("friend", "rival"))
    wants = make_pod("web", affinity=near(term(ZONE, "friend")))
    shuns = make_pod("web", affinity=far(term(HOST, "rival")))
    assert helps("InterPodAffinity", PlacedPodEvent(None, friend), wants)
    assert not helps("InterPodAffinity", PlacedPodEvent(None, rival), wants)
    assert helps("InterPodAffinity", PlacedPodEvent(rival, None), shuns)
    assert not helps("InterPodAffinity", PlacedPodEvent(friend, None), shuns)


def test_the_last_of_its_kind_that_goes_lets_another_one_be_the_first() -> None:
    old, new = (
        make_pod(name, labels={"app": "web"}, affinity=near(term(HOST, "web")))
        for name in ("old", "new")
    )
    assert helps("InterPodAffinity", PlacedPodEvent(old, None), new)
    assert helps("InterPodAffinity", PlacedPodEvent(old, make_pod("old")), new)
    stranger = make_pod("stranger", affinity=near(term(HOST, "web")))
    assert not helps("InterPodAffinity", PlacedPodEvent(old, None), stranger)


def test_holder_of_anti_affinity_that_goes() -> None:
    holder = make_pod("loner", affinity=far(term(ZONE, "web")))
    web = make_pod("web", labels={"app": "web"})
    assert helps("InterPodAffinity", PlacedPodEvent(holder, None), web)


def test_own_tolerations_help_only_the_rule_about_taints() -> None:
    event = OwnEvent(make_pod("web"), make_pod("web", tolerations=[{"operator": "Exists"}]))
    assert helps("TaintToleration", event, event.new)
    assert helps("NodeUnschedulable", event, event.new)
    assert not helps("NodeAffinity", event, event.new)


def test_rule_that_nobody_knows_is_always_tried_again() -> None:
    assert helps("SomebodysOwnPlugin", relabelled({}), make_pod("web"))


def test_heartbeat_is_no_news() -> None:
    node: Node = make_node("a")
    assert not is_news(NodeEvent(node, make_node("a")))
    assert is_news(relabelled({"x": "y"}))


@pytest.mark.parametrize("annotation", [LAYOUT_ANNOTATION, ALLOCATIONS_ANNOTATION])
def test_what_a_node_says_of_its_machine_is_news(annotation: str) -> None:
    node: Node = make_node("a")
    metadata = msgspec.structs.replace(node.metadata, annotations={annotation: "new"})
    assert is_news(NodeEvent(node, msgspec.structs.replace(node, metadata=metadata)))


def with_claim(name: str, claim: str, namespace: str = "default") -> Pod:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    return make_pod(name, namespace=namespace, volumes=volumes)


def with_disk(name: str, disk: str, *, read_only: bool = False) -> Pod:
    source = {"pdName": disk, "readOnly": read_only}
    return make_pod(name, volumes=[{"name": "disk", "gcePersistentDisk": source}])


def gone(pod: Pod) -> PlacedPodEvent:
    return PlacedPodEvent(pod, None)


def test_claim_for_one_pod_waits_for_the_pod_that_has_it() -> None:
    waiting = with_claim("new", "data")
    assert helps("VolumeRestrictions", gone(with_claim("old", "data")), waiting)
    assert not helps("VolumeRestrictions", gone(with_claim("old", "other")), waiting)
    elsewhere = with_claim("old", "data", namespace="other")
    assert not helps("VolumeRestrictions", gone(elsewhere), waiting)


def test_disk_waits_for_a_pod_that_does_not_share_it() -> None:
    reader = with_disk("new", "d", read_only=True)
    assert helps("VolumeRestrictions", gone(with_disk("writer", "d")), reader)
    other_reader = with_disk("reader", "d", read_only=True)
    assert not helps("VolumeRestrictions", gone(other_reader), reader)


def test_full_attach_limit_waits_for_a_pod_with_volumes_to_go() -> None:
    waiting = with_claim("new", "data")
    assert helps("NodeVolumeLimits", gone(with_claim("old", "other")), waiting)
    assert helps("NodeVolumeLimits", gone(with_disk("old", "d")), waiting)
    assert not helps("NodeVolumeLimits", gone(make_pod("old")), waiting)
    tainted = NodeEvent(make_node("a"), make_node("a", taints=TAINT))
    assert not helps("NodeVolumeLimits", tainted, waiting)


def test_volumes_wait_for_nodes_that_may_reach_them() -> None:
    waiting = with_claim("new", "data")
    for plugin in ("VolumeBinding", "VolumeZone"):
        assert helps(plugin, NodeEvent(None, make_node("a")), waiting)
        assert helps(plugin, relabelled({ZONE: "z"}), waiting)
        assert not helps(plugin, gone(with_claim("old", "data")), waiting)


def test_features_wait_for_a_node_that_declares_others() -> None:
    old = make_node("a")
    status = msgspec.structs.replace(old.status, declared_features=("New",))
    event = NodeEvent(old, msgspec.structs.replace(old, status=status))
    assert is_news(event)
    assert helps("NodeDeclaredFeatures", event, make_pod("new"))
    assert not helps("NodeDeclaredFeatures", relabelled({ZONE: "z"}), make_pod("new"))


CLAIMING = make_pod(
    "db", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
)


def stored(kind: type[Any], name: str = "data", **fields: Any) -> Any:
    metadata = {"name": name, "namespace": CLAIMING.metadata.namespace}
    return msgspec.convert({"metadata": metadata, **fields}, kind)


def test_volume_rules_wait_for_the_claims_of_the_pod() -> None:
    own = StorageEvent(None, stored(PersistentVolumeClaim))
    other = StorageEvent(None, stored(PersistentVolumeClaim, "logs"))
    for plugin in ("VolumeBinding", "VolumeZone", "VolumeRestrictions", "NodeVolumeLimits"):
        assert helps(plugin, own, CLAIMING)
        assert not helps(plugin, other, CLAIMING)


def test_volume_binding_waits_for_volumes_and_classes() -> None:
    assert helps("VolumeBinding", StorageEvent(None, stored(PersistentVolume)), CLAIMING)
    storage_class = stored(StorageClass)
    assert helps("VolumeBinding", StorageEvent(None, storage_class), CLAIMING)
    assert not helps("VolumeBinding", StorageEvent(storage_class, storage_class), CLAIMING)


def test_volume_limits_wait_for_a_driver_that_can_attach_more() -> None:
    few, many = (
        stored(CSINode, spec={"drivers": [{"name": "d", "allocatable": {"count": count}}]})
        for count in (1, 2)
    )
    assert helps("NodeVolumeLimits", StorageEvent(few, many), CLAIMING)
    assert not helps("NodeVolumeLimits", StorageEvent(many, few), CLAIMING)


def test_storage_wakes_nobody_whom_it_does_not_concern() -> None:
    assert not helps("NodeAffinity", StorageEvent(None, stored(PersistentVolume)), SSD)
