"""Claims, volumes and attach limits: the cases that are easily got wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.placement.builders import ZONE, Cluster, make_node, make_pod

from kubeberth.api.core import Pod
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
from kubeberth.errors import InvalidObjectError
from kubeberth.placement.delta import (
    NodePut,
    NodeRemoved,
    PodPut,
    PodRemoved,
    StoragePut,
    StorageRemoved,
)
from kubeberth.placement.plugin import Rejection
from kubeberth.placement.plugins import NodeVolumeLimits, VolumeBinding, VolumeZone
from kubeberth.placement.reservation import BindClaim, ProvisionClaim, Reservation

BOUND = {"pv.kubernetes.io/bind-completed": "yes"}
NOT_FOUND = "node(s) didn't find available persistent volumes to bind"
OUT_OF_REACH = "node(s) didn't match PersistentVolume's node affinity"


def make_class(name: str, provisioner: str = "csi.example.com", **more: Any) -> StorageClass:
    document = {"metadata": {"name": name}, "provisioner": provisioner}
    return msgspec.convert(
        {**document, "volumeBindingMode": "WaitForFirstConsumer", **more}, StorageClass
    )


def make_claim(
    name: str, class_name: str = "local", size: str = "1Gi", **more: Any
) -> PersistentVolumeClaim:
    """Return a claim; what is not a field of its spec is one of its metadata."""
    spec_fields = ("volumeName", "selector", "accessModes", "volumeMode")
    spec = {key: more.pop(key) for key in spec_fields if key in more}
    return msgspec.convert(
        {
            "metadata": {"name": name, "namespace": "default", **more},
            "spec": {
                "storageClassName": class_name,
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": size}},
                **spec,
            },
            "status": {"phase": "Bound" if "volumeName" in spec else "Pending"},
        },
        PersistentVolumeClaim,
    )


def make_volume(
    name: str, host: str = "", size: str = "1Gi", labels: dict[str, str] | None = None, **spec: Any
) -> PersistentVolume:
    """Return a free volume of the class `local`, on one host if one is given."""
    if host:
        expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}
        terms = [{"matchExpressions": [expression]}]
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    return msgspec.convert(
        {
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {
                "storageClassName": "local",
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": size},
                **spec,
            },
            "status": {"phase": "Available"},
        },
        PersistentVolume,
    )


def make_csi_node(name: str, driver: str, count: int | None, migrated: str = "") -> CSINode:
    return msgspec.convert(
        {
            "metadata": {
                "name": name,
                "annotations": {"storage.alpha.kubernetes.io/migrated-plugins": migrated},
            },
            "spec": {"drivers": [{"name": driver, "allocatable": {"count": count}}]},
        },
        CSINode,
    )


def using(name: str, *claims: str, **more: Any) -> Pod:
    volumes = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims]
    return make_pod(name, volumes=volumes, **more)


def with_disk(name: str, source: str, **fields: Any) -> Pod:
    return make_pod(name, volumes=[{"name": "disk", source: fields}])


class Storage(Cluster):
    """A cluster with nodes `a` and `b` and some classes."""

    def __init__(self, *items: StorageObject) -> None:
        super().__init__(make_node("a"), make_node("b"))
        self.store(
            make_class("local", "kubernetes.io/no-provisioner"),
            make_class("made"),
            make_class("now", volumeBindingMode="Immediate"),
            *items,
        )

    def store(self, *items: StorageObject) -> None:
        self.state.apply_all(StoragePut(item) for item in items)

    def assume(self, pod: Pod) -> tuple[Reservation, ...]:
        """Place a pod, and return what it is promised."""
        (decision,) = self.engine.place_all([pod])
        assert decision.node is not None
        return decision.reservations


def test_smallest_volume_that_is_large_enough_is_taken() -> None:
    volumes = [make_volume("big", size="9Gi"), make_volume("fits", size="2Gi")]
    cluster = Storage(make_claim("data", size="2Gi"), make_volume("small"), *volumes)
    assert cluster.assume(using("web", "data")) == (BindClaim("default/data", "fits"),)


def test_small_claims_choose_before_large_ones() -> None:
    cluster = Storage(
        make_claim("large", size="2Gi"),
        make_claim("small"),
        make_volume("one", "a"),
        make_volume("two", "a", size="2Gi"),
    )
    assert set(cluster.assume(using("web", "large", "small"))) == {
        BindClaim("default/small", "one"),
        BindClaim("default/large", "two"),
    }


def test_volume_that_is_promised_is_not_promised_again() -> None:
    cluster = Storage(make_claim("one"), make_claim("two"), make_volume("only"))
    cluster.assume(using("first", "one"))
    assert cluster.why_not(using("second", "two")) == f"0/2 nodes are available: 2 {NOT_FOUND}"


def test_volume_is_given_back_when_its_pod_goes() -> None:
    cluster = Storage(make_claim("one"), make_claim("two"), make_volume("only"))
    cluster.assume(using("first", "one"))
    cluster.state.apply(PodRemoved("default/first"))
    assert cluster.assume(using("second", "two")) == (BindClaim("default/two", "only"),)


def test_pods_that_share_a_claim_share_its_promise() -> None:
    cluster = Storage(make_claim("shared"), make_claim("other"), make_volume("only"))
    cluster.assume(using("first", "shared"))
    assert cluster.assume(using("second", "shared")) == (BindClaim("default/shared", "only"),)
    cluster.state.apply(PodRemoved("default/first"))
    assert NOT_FOUND in cluster.why_not(using("third", "other"))
    cluster.state.apply(PodRemoved("default/second"))
    assert cluster.place(using("third", "other")) is not None


def test_disks_of_nodes_are_given_out_one_by_one_the_smallest_that_will_do_first() -> None:
    sizes = {"small": "1Gi", "middle": "2Gi", "large": "5Gi"}
    disks = [make_volume(name, "a", size) for name, size in sizes.items()]
    claims = [make_claim(name, size="2Gi") for name in ("one", "two", "three")]
    cluster = Storage(*claims, *disks)
    assert cluster.assume(using("first", "one")) == (BindClaim("default/one", "middle"),)
    assert cluster.assume(using("second", "two")) == (BindClaim("default/two", "large"),)
    assert NOT_FOUND in cluster.why_not(using("third", "three"))
    cluster.state.apply(PodRemoved("default/first"))
    assert cluster.assume(using("third", "three")) == (BindClaim("default/three", "middle"),)


def test_disk_of_a_node_that_comes_later_is_found_then() -> None:
    cluster = Storage(make_claim("data"), make_volume("disk", "late"))
    assert NOT_FOUND in cluster.why_not(using("web", "data"))
    cluster.state.apply(NodePut(make_node("late")))
    assert cluster.place(using("web", "data")) == "late"


def test_pod_with_two_claims_needs_two_disks_on_one_node() -> None:
    cluster = Storage(make_claim("one"), make_claim("two"), make_volume("x", "a"))
    cluster.store(make_volume("y", "b"))
    assert NOT_FOUND in cluster.why_not(using("web", "one", "two"))
    cluster.store(make_volume("z", "b"))
    assert cluster.place(using("web", "one", "two")) == "b"


def test_confirmed_pod_keeps_its_promise() -> None:
    cluster = Storage(make_claim("one"), make_claim("two"), make_volume("only"))
    cluster.assume(using("first", "one"))
    cluster.state.apply(PodPut(using("first", "one", labels={"app": "web"}), "a"))
    assert NOT_FOUND in cluster.why_not(using("second", "two"))


def test_volume_that_names_a_claim_is_the_only_one_for_it() -> None:
    owner = {"namespace": "default", "name": "data"}
    cluster = Storage(
        make_claim("data"), make_volume("free"), make_volume("own", "b", claimRef=owner)
    )
    assert cluster.place(using("web", "data")) == "b"


def test_volume_that_names_an_earlier_claim_of_the_same_name_is_for_nobody() -> None:
    owner = {"namespace": "default", "name": "data", "uid": "old"}
    cluster = Storage(make_claim("data", uid="new"), make_volume("own", claimRef=owner))
    assert NOT_FOUND in cluster.why_not(using("web", "data"))


@pytest.mark.parametrize(
    ("claim", "volume"),
    [
        pytest.param({"accessModes": ["ReadWriteMany"]}, {}, id="access mode"),
        pytest.param({"volumeMode": "Block"}, {"volumeMode": "Filesystem"}, id="volume mode"),
        pytest.param({"selector": {"matchLabels": {"media": "ssd"}}}, {}, id="selector"),
        pytest.param({}, {"storageClassName": "made"}, id="class"),
        pytest.param({}, {"volumeAttributesClassName": "gold"}, id="attributes class"),
        pytest.param({}, {"size": "500Mi"}, id="size"),
    ],
)
def test_volume_must_be_what_the_claim_wants(claim: dict[str, Any], volume: dict[str, Any]) -> None:
    cluster = Storage(make_claim("data", **claim), make_volume("v", **volume))
    assert NOT_FOUND in cluster.why_not(using("web", "data"))


def test_claim_without_a_volume_is_provisioned_on_the_node() -> None:
    cluster = Storage(make_claim("data", "made"))
    assert cluster.assume(using("web", "data")) == (ProvisionClaim("default/data", "a"),)
    assert cluster.place(using("other", "data")) == "a"


def test_volume_is_made_in_allowed_topologies_only() -> None:
    terms = [{"matchLabelExpressions": [{"key": ZONE, "values": ["z"]}]}]
    cluster = Storage(make_class("zonal", allowedTopologies=terms), make_claim("data", "zonal"))
    assert NOT_FOUND in cluster.why_not(using("web", "data"))
    cluster.put(make_node("b", labels={ZONE: "z"}))
    assert cluster.place(using("web", "data")) == "b"


def test_volume_is_made_where_the_driver_has_room() -> None:
    driver = CSIDriver(
        metadata=msgspec.convert({"name": "csi.example.com"}, type(make_pod("x").metadata)),
        spec=msgspec.convert({"storageCapacity": True}, type(CSIDriver().spec)),
    )
    cluster = Storage(driver, make_claim("data", "made", size="5Gi"))
    room = {
        "metadata": {"name": "room", "namespace": "kube-system"},
        "storageClassName": "made",
        "nodeTopology": {"matchLabels": {"kubernetes.io/hostname": "b"}},
        "capacity": "9Gi",
    }
    reason = "0/2 nodes are available: 2 node(s) did not have enough free storage"
    assert cluster.why_not(using("web", "data")) == reason
    cluster.store(msgspec.convert({**room, "maximumVolumeSize": "1Gi"}, CSIStorageCapacity))
    assert cluster.why_not(using("web", "data")) == reason
    cluster.store(msgspec.convert(room, CSIStorageCapacity))
    assert cluster.place(using("web", "data")) == "b"


def test_bound_volume_keeps_its_pod_in_its_place() -> None:
    cluster = Storage(
        make_claim("data", volumeName="v", annotations=BOUND), make_volume("v", host="b")
    )
    assert cluster.place(using("web", "data")) == "b"
    cluster.state.apply(NodeRemoved("b"))
    assert OUT_OF_REACH in cluster.why_not(using("other", "data"))


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        pytest.param(None, 'persistentvolumeclaim "data" not found', id="missing"),
        pytest.param(
            make_claim("data", "now"),
            "pod has unbound immediate PersistentVolumeClaims",
            id="immediate",
        ),
        pytest.param(
            make_claim("data", "nowhere"),
            "pod has unbound immediate PersistentVolumeClaims",
            id="no such class",
        ),
        pytest.param(
            make_claim("data", volumeName="v"),
            "pod has unbound immediate PersistentVolumeClaims",
            id="waits for the volume that it names",
        ),
        pytest.param(
            make_claim("data", deletionTimestamp="2026-01-01T00:00:00Z"),
            'persistentvolumeclaim "data" is being deleted',
            id="on its way out",
        ),
        pytest.param(
            make_claim("data", volumeName="gone", annotations=BOUND),
            'persistentvolume "gone" not found',
            id="bound to nothing",
        ),
    ],
)
def test_claim_that_no_node_could_help_refuses_the_pod(
    claim: PersistentVolumeClaim | None, reason: str
) -> None:
    cluster = Storage(*([claim] if claim else []))
    decision = cluster.decide(using("web", "data"))
    assert decision.failure is not None
    assert decision.failure.message == f"0/2 nodes are available: {reason}. not found"


def test_ephemeral_claim_must_be_the_pods_own() -> None:
    cluster = Storage()
    pod = make_pod("web", volumes=[{"name": "scratch", "ephemeral": {}}])
    pod = msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, uid="u1"))
    waiting = 'ephemeral volume controller to create the persistentvolumeclaim "web-scratch"'
    assert waiting in cluster.why_not(pod)
    cluster.store(make_claim("web-scratch", "made"))
    assert "was not created for pod default/web (pod is not owner)" in cluster.why_not(pod)
    owner = {"kind": "Pod", "name": "web", "uid": "u1", "controller": True}
    cluster.store(make_claim("web-scratch", "made", ownerReferences=[owner]))
    assert cluster.place(pod) == "a"


def test_pods_of_one_template_see_what_becomes_of_their_claim() -> None:
    cluster = Storage(make_claim("data", "made"))
    assert cluster.place(using("one", "data")) == "a"
    cluster.state.apply(StorageRemoved(PersistentVolumeClaim, "default/data"))
    assert 'persistentvolumeclaim "data" not found' in cluster.why_not(using("two", "data"))


def test_claim_for_one_pod_can_be_freed_by_preemption() -> None:
    exclusive = {"accessModes": ["ReadWriteOncePod"], "annotations": BOUND}
    cluster = Storage(
        make_claim("data", volumeName="v", **exclusive),
        make_volume("v", accessModes=["ReadWriteOncePod"]),
    )
    cluster.bind(using("low", "data", priority=1), "a")
    decision = cluster.decide(using("high", "data", priority=9))
    assert decision.nomination is not None
    assert decision.nomination.victims == ("default/low",)


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        pytest.param("gcePersistentDisk", {"pdName": "d"}, id="GCE"),
        pytest.param("iscsi", {"iqn": "iqn.2026-01.com.example:d"}, id="iSCSI"),
        pytest.param("rbd", {"image": "d", "monitors": ["m1", "m2"]}, id="Ceph"),
    ],
)
def test_disk_is_shared_for_reading_only(source: str, fields: dict[str, Any]) -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(with_disk("reader", source, **fields, readOnly=True), "a")
    assert cluster.place(with_disk("other reader", source, **fields, readOnly=True)) == "a"
    conflict = "0/1 nodes are available: 1 node(s) had no available disk"
    assert cluster.why_not(with_disk("writer", source, **fields)) == conflict


def test_ebs_disk_is_not_shared_even_for_reading() -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(with_disk("one", "awsElasticBlockStore", volumeID="d", readOnly=True), "a")
    two = with_disk("two", "awsElasticBlockStore", volumeID="d", readOnly=True)
    assert "no available disk" in cluster.why_not(two)


def test_ceph_images_without_a_common_monitor_are_different() -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(with_disk("one", "rbd", image="d", monitors=["m1"]), "a")
    assert cluster.place(with_disk("two", "rbd", image="d", monitors=["m2"])) == "a"


def test_volume_in_several_zones_can_be_used_in_each() -> None:
    labels = {"failure-domain.beta.kubernetes.io/zone": "y__z"}
    cluster = Storage(
        make_claim("data", volumeName="v", annotations=BOUND), make_volume("v", labels=labels)
    )
    cluster.put(make_node("a", labels={ZONE: "x"}), make_node("b", labels={ZONE: "z"}))
    assert cluster.place(using("web", "data")) == "b"


def test_node_without_zone_passes_for_every_volume() -> None:
    cluster = Storage(
        make_claim("data", volumeName="v", annotations=BOUND),
        make_volume("v", labels={ZONE: "y"}),
    )
    assert cluster.place(using("web", "data")) == "a"


class TestAttachLimits:
    def bound_claims(self, *names: str) -> list[StorageObject]:
        items: list[StorageObject] = []
        for name in names:
            source = {"driver": "csi.example.com", "volumeHandle": f"handle-{name}"}
            items.append(make_volume(f"v-{name}", csi=source))
            items.append(make_claim(name, volumeName=f"v-{name}", annotations=BOUND))
        return items

    def test_claim_without_a_volume_counts_for_its_class_driver(self) -> None:
        cluster = Storage(
            make_claim("data", "made"),
            *(make_csi_node(name, "csi.example.com", 0) for name in "ab"),
        )
        full = "0/2 nodes are available: 2 node(s) exceed max volume count"
        assert cluster.why_not(using("web", "data")) == full

    def test_volume_that_two_pods_share_counts_once(self) -> None:
        cluster = Storage(*self.bound_claims("x", "y"), make_csi_node("a", "csi.example.com", 1))
        cluster.state.apply(NodeRemoved("b"))
        cluster.bind(using("one", "x"), "a")
        assert cluster.place(using("two", "x")) == "a"
        assert "exceed max volume count" in cluster.why_not(using("three", "y"))

    def test_attached_volume_counts_although_its_pod_has_gone(self) -> None:
        attachment = {
            "metadata": {"name": "att"},
            "spec": {
                "attacher": "csi.example.com",
                "nodeName": "a",
                "source": {"persistentVolumeName": "v-x"},
            },
        }
        cluster = Storage(*self.bound_claims("x", "y"), make_csi_node("a", "csi.example.com", 1))
        cluster.state.apply(NodeRemoved("b"))
        cluster.store(msgspec.convert(attachment, VolumeAttachment))
        assert "exceed max volume count" in cluster.why_not(using("web", "y"))
        assert cluster.decide(using("web", "x")).node == "a"
        cluster.state.apply(StorageRemoved(VolumeAttachment, "att"))
        assert cluster.decide(using("web", "y")).node == "a"

    def test_in_tree_disk_counts_where_its_plugin_has_been_migrated(self) -> None:
        cluster = Storage(
            make_csi_node("a", "pd.csi.storage.gke.io", 0, migrated="kubernetes.io/gce-pd"),
            make_csi_node("b", "pd.csi.storage.gke.io", 0),
        )
        assert cluster.place(with_disk("web", "gcePersistentDisk", pdName="d")) == "b"

    def test_limit_of_a_node_that_comes_later_is_known(self) -> None:
        cluster = Storage(*self.bound_claims("x"), make_csi_node("c", "csi.example.com", 0))
        assert cluster.place(using("one", "x")) == "a"
        cluster.put(make_node("c", cpu="64"))
        assert cluster.decide(using("two", "x")).node in ("a", "b")


class TestBadInput:
    @pytest.mark.parametrize(
        "item",
        [
            pytest.param(make_volume("v", size="lots"), id="volume"),
            pytest.param(make_claim("data", size="a lot"), id="claim"),
        ],
    )
    def test_size_that_is_none_is_refused_and_changes_nothing(self, item: StorageObject) -> None:
        cluster = Storage(make_claim("data"), make_volume("v"))
        with pytest.raises(InvalidObjectError):
            cluster.store(item)
        assert cluster.assume(using("web", "data")) == (BindClaim("default/data", "v"),)

    def test_claims_and_volumes_that_name_each_other_crosswise_end_in_an_answer(self) -> None:
        cluster = Storage(
            make_claim("one", volumeName="v-two", annotations=BOUND),
            make_claim("two", volumeName="v-one", annotations=BOUND),
            make_volume("v-one", claimRef={"namespace": "default", "name": "one"}),
            make_volume("v-two", "b", claimRef={"namespace": "default", "name": "two"}),
        )
        assert cluster.place(using("web", "one", "two")) == "b"

    def test_absurd_sizes_and_counts_are_compared_like_any_other(self) -> None:
        cluster = Storage(
            make_claim("data", "local", size="1e400"),
            make_volume("v", size="9E"),
            make_csi_node("a", "csi.example.com", 2**70),
            make_csi_node("b", "csi.example.com", -5),
            make_claim("made", "made"),
        )
        assert NOT_FOUND in cluster.why_not(using("web", "data"))
        assert cluster.place(using("web", "made")) == "a"

    def test_affinity_that_does_not_parse_matches_no_node(self) -> None:
        expression = {"key": "zone", "operator": "Gt", "values": ["far"]}
        terms = [{"matchExpressions": [expression]}]
        affinity = {"required": {"nodeSelectorTerms": terms}}
        cluster = Storage(make_claim("data"), make_volume("v", nodeAffinity=affinity))
        assert NOT_FOUND in cluster.why_not(using("web", "data"))

    def test_removing_what_is_not_there_does_nothing(self) -> None:
        cluster = Storage(make_claim("data"), make_volume("v"))
        for kind in (PersistentVolumeClaim, PersistentVolume, VolumeAttachment, CSINode, CSIDriver):
            cluster.state.apply(StorageRemoved(kind, "nothing"))
        assert cluster.place(using("web", "data")) == "a"


def test_fork_promises_on_its_own() -> None:
    cluster = Storage(make_claim("one"), make_claim("two"), make_volume("only"))
    fork = cluster.state.fork()
    cluster.assume(using("first", "one"))
    assert [stored.volume.metadata.name for stored in fork.storage.free("local").all(0)] == ["only"]


class TestRulesByThemselves:
    """What a rule says in a profile without the rules that come before it."""

    @pytest.mark.parametrize(
        ("claim", "reason"),
        [
            pytest.param(None, 'persistentvolumeclaim "data" not found', id="missing"),
            pytest.param(
                make_claim("data", ""),
                "PersistentVolumeClaim had no pv name and storageClass name",
                id="nothing said",
            ),
            pytest.param(
                make_claim("data", "gone"),
                'storageclass.storage.k8s.io "gone" not found',
                id="no such class",
            ),
            pytest.param(make_claim("data", "now"), "PersistentVolume had no name", id="unbound"),
        ],
    )
    def test_volume_zone_cannot_know_the_zone(
        self, claim: PersistentVolumeClaim | None, reason: str
    ) -> None:
        cluster = Storage(*([claim] if claim else []))
        request = cluster.state.request(using("web", "data"))
        found = VolumeZone().pre_filter(cluster.state, request)
        assert isinstance(found, Rejection)
        assert found.reasons == (reason,)

    def test_volume_zone_wants_a_binding_mode_and_a_name(self) -> None:
        cluster = Storage(make_class("moody", volumeBindingMode=None), make_claim("x", "moody"))
        request = cluster.state.request(using("web", "x"))
        found = VolumeZone().pre_filter(cluster.state, request)
        assert isinstance(found, Rejection)
        assert found.reasons == ('VolumeBindingMode not set for StorageClass "moody"',)
        nameless = VolumeZone().pre_filter(cluster.state, cluster.state.request(using("web", "")))
        assert isinstance(nameless, Rejection)
        assert nameless.reasons == ("PersistentVolumeClaim had no name",)

    def test_volume_binding_misses_the_claim_or_its_volume(self) -> None:
        lost = make_claim("lost", volumeName="gone", annotations=BOUND)
        status = msgspec.structs.replace(lost.status, phase="Lost")
        cluster = Storage(msgspec.structs.replace(lost, status=status))
        for claim, reason in (
            ("data", 'persistentvolumeclaim "data" not found'),
            ("lost", 'persistentvolumeclaim "lost" bound to non-existent persistentvolume "gone"'),
        ):
            request = cluster.state.request(using("web", claim))
            found = VolumeBinding().pre_filter(cluster.state, request)
            assert isinstance(found, Rejection)
            assert found.reasons == (reason,)

    def test_volume_binding_tells_of_a_volume_that_is_gone_on_each_node(self) -> None:
        cluster = Storage(
            make_claim("data", volumeName="gone", annotations=BOUND), make_claim("more")
        )
        request = cluster.state.request(using("web", "data", "more"))
        codes = VolumeBinding().filter(cluster.state, request, slice(0, 2))
        assert codes is not None
        assert VolumeBinding().rejection(cluster.state, request, int(codes[0])).reasons == (
            NOT_FOUND,
            "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
        )

    def test_node_volume_limits_looks_the_claim_up(self) -> None:
        cluster = Storage()
        request = cluster.state.request(using("web", "data"))
        codes = NodeVolumeLimits().filter(cluster.state, request, slice(0, 2))
        assert codes is not None
        rejection = NodeVolumeLimits().rejection(cluster.state, request, int(codes[0]))
        assert rejection.reasons == (
            'looking up PVC default/data: persistentvolumeclaim "data" not found',
        )
        assert not rejection.resolvable
