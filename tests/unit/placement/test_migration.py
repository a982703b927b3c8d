from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.placement.builders import HOST, ZONE, Cluster, make_node, make_pod

from kubeberth.api.storage import CSINode, PersistentVolume, PersistentVolumeClaim
from kubeberth.api.volumes import InTreeSources
from kubeberth.placement.delta import StoragePut
from kubeberth.placement.migration import in_tree_volume, migrated_terms

GCE_ZONE = "topology.gke.io/zone"
BETA_ZONE = "failure-domain.beta.kubernetes.io/zone"
BETA_REGION = "failure-domain.beta.kubernetes.io/region"
REGION = "topology.kubernetes.io/region"
GCE = "kubernetes.io/gce-pd"


def make_volume(
    *expressions: tuple[str, str], labels: dict[str, str] | None = None
) -> PersistentVolume:
    """Return a GCE disk with a term of `In` requirements, if any are given."""
    spec: dict[str, Any] = {"gcePersistentDisk": {"pdName": "d"}, "capacity": {"storage": "1Gi"}}
    if expressions:
        entries = [{"key": key, "operator": "In", "values": [value]} for key, value in expressions]
        terms = [{"matchExpressions": entries}]
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    return msgspec.convert(
        {"metadata": {"name": "v", "labels": labels or {}}, "spec": spec}, PersistentVolume
    )


def rows(volume: PersistentVolume, plugin: str = GCE) -> list[dict[str, tuple[str, ...]]] | None:
    terms = migrated_terms(volume, plugin)
    if terms is None:
        return None
    return [{e.key: e.values for e in term.match_expressions} for term in terms]


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        pytest.param(make_volume(), None, id="nothing said"),
        pytest.param(make_volume((ZONE, "z")), [{GCE_ZONE: ("z",)}], id="zone"),
        pytest.param(make_volume((BETA_ZONE, "z")), [{GCE_ZONE: ("z",)}], id="old zone"),
        pytest.param(
            make_volume((BETA_ZONE, "z"), (BETA_REGION, "r")),
            [{GCE_ZONE: ("z",), REGION: ("r",)}],
            id="old region",
        ),
        pytest.param(
            make_volume((HOST, "h"), labels={BETA_ZONE: "y__z"}),
            [{HOST: ("h",), GCE_ZONE: ("y", "z")}],
            id="zones in labels besides affinity",
        ),
        pytest.param(make_volume(labels={ZONE: "z"}), [{GCE_ZONE: ("z",)}], id="labels alone"),
        pytest.param(
            make_volume((ZONE, "z"), labels={ZONE: "other"}),
            [{GCE_ZONE: ("z",)}],
            id="affinity comes before labels",
        ),
        pytest.param(make_volume(labels={ZONE: "__"}), None, id="labels without a zone"),
        pytest.param(make_volume((HOST, "h")), [{HOST: ("h",)}], id="no zone at all"),
    ],
)
def test_zones_become_the_drivers_own(
    volume: PersistentVolume, expected: list[dict[str, tuple[str, ...]]] | None
) -> None:
    assert rows(volume) == expected


def test_driver_without_zones_leaves_affinity_alone() -> None:
    assert rows(make_volume((ZONE, "z")), "kubernetes.io/azure-file") == [{ZONE: ("z",)}]


@pytest.mark.parametrize(
    ("source", "zones", "driver", "handle"),
    [
        pytest.param(
            {"gcePersistentDisk": {"pdName": "d"}},
            "",
            "pd.csi.storage.gke.io",
            "projects/UNSPECIFIED/zones/UNSPECIFIED/disks/d",
            id="GCE",
        ),
        pytest.param(
            {"gcePersistentDisk": {"pdName": "d"}},
            "europe-west1-b__europe-west1-c",
            "pd.csi.storage.gke.io",
            "projects/UNSPECIFIED/regions/europe-west1/disks/d",
            id="GCE, regional",
        ),
        pytest.param(
            {"awsElasticBlockStore": {"volumeID": "aws://eu-1a/vol-1"}},
            "",
            "ebs.csi.aws.com",
            "vol-1",
            id="EBS",
        ),
        pytest.param(
            {"azureDisk": {"diskURI": "/disk"}}, "", "disk.csi.azure.com", "/disk", id="Azure disk"
        ),
        pytest.param(
            {"azureFile": {"secretName": "s", "shareName": "f"}},
            "",
            "file.csi.azure.com",
            "#s#f##",
            id="Azure file",
        ),
        pytest.param(
            {"cinder": {"volumeID": "c"}}, "", "cinder.csi.openstack.org", "c", id="Cinder"
        ),
        pytest.param({"portworxVolume": {"volumeID": "p"}}, "", "pxd.portworx.com", "p", id="px"),
        pytest.param(
            {"vsphereVolume": {"volumePath": "[d] v"}},
            "",
            "csi.vsphere.vmware.com",
            "[d] v",
            id="vSphere",
        ),
    ],
)
def test_in_tree_volume_has_a_name_for_its_driver(
    source: dict[str, Any], zones: str, driver: str, handle: str
) -> None:
    found = in_tree_volume(msgspec.convert(source, InTreeSources), zones)
    assert found is not None
    assert (found.driver, found.handle) == (driver, handle)


def test_volume_is_reached_by_the_drivers_label_where_its_plugin_has_been_migrated() -> None:
    cluster = Cluster(
        make_node("a", labels={ZONE: "z"}), make_node("b", labels={ZONE: "z", GCE_ZONE: "z"})
    )
    claim = {
        "metadata": {
            "name": "data",
            "namespace": "default",
            "annotations": {"pv.kubernetes.io/bind-completed": "yes"},
        },
        "spec": {"volumeName": "v"},
    }
    cluster.state.apply(StoragePut(msgspec.convert(claim, PersistentVolumeClaim)))
    cluster.state.apply(StoragePut(make_volume((ZONE, "z"))))
    pod = make_pod("web", volumes=[{"persistentVolumeClaim": {"claimName": "data"}}])
    assert cluster.decide(pod).node == "a"
    migrated = {"storage.alpha.kubernetes.io/migrated-plugins": GCE}
    csi_node = {"metadata": {"name": "a", "annotations": migrated}}
    cluster.state.apply(StoragePut(msgspec.convert(csi_node, CSINode)))
    assert cluster.decide(pod).node == "b"
