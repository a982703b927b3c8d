"""Migration: in-tree volumes as the CSI drivers see them that have taken over.

Source: https://kubernetes.io/docs/concepts/storage/volumes/#csi-migration. Matches kube-scheduler
1.36 (csi-translation-lib): names of plugins, drivers, topology keys and the forms of handles.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

import msgspec

from kubeberth.api.core import NodeSelectorRequirement, NodeSelectorTerm
from kubeberth.api.node_labels import BETA_REGION, BETA_ZONE, REGION, ZONE
from kubeberth.api.storage import PersistentVolume
from kubeberth.api.volumes import InTreeSources

ZONE_SEPARATOR = "__"

_GCE_PD = "kubernetes.io/gce-pd"
_AWS_EBS = "kubernetes.io/aws-ebs"
_AZURE_DISK = "kubernetes.io/azure-disk"
_AZURE_FILE = "kubernetes.io/azure-file"
_CINDER = "kubernetes.io/cinder"
_PORTWORX = "kubernetes.io/portworx-volume"
_VSPHERE = "kubernetes.io/vsphere-volume"

CSI_DRIVERS: Mapping[str, str] = {
    _GCE_PD: "pd.csi.storage.gke.io",
    _AWS_EBS: "ebs.csi.aws.com",
    _AZURE_DISK: "disk.csi.azure.com",
    _AZURE_FILE: "file.csi.azure.com",
    _CINDER: "cinder.csi.openstack.org",
    _PORTWORX: "pxd.portworx.com",
    _VSPHERE: "csi.vsphere.vmware.com",
}
"""Which driver does a plugin's work."""

_ZONE_KEYS = {
    _GCE_PD: "topology.gke.io/zone",
    _AWS_EBS: "topology.ebs.csi.aws.com/zone",
    _AZURE_DISK: "topology.disk.csi.azure.com/zone",
    _CINDER: "topology.cinder.csi.openstack.org/zone",
}
_UNSPECIFIED = "UNSPECIFIED"


@dataclass(frozen=True, slots=True)
class InTreeVolume:
    """A volume of an in-tree plugin, and what its CSI driver calls it."""

    plugin: str
    handle: str

    @property
    def driver(self) -> str:
        """The CSI driver that takes it over."""
        return CSI_DRIVERS[self.plugin]


def in_tree_volume(source: InTreeSources, zones: str = "") -> InTreeVolume | None:
    """Return the in-tree volume that a source names, or None.

    Parameters
    ----------
    zones
        Zones of the volume, as its label lists them.
    """
    if source.gce_persistent_disk is not None:
        return InTreeVolume(_GCE_PD, _gce_handle(source.gce_persistent_disk.pd_name, zones))
    if source.aws_elastic_block_store is not None:
        return InTreeVolume(_AWS_EBS, _ebs_handle(source.aws_elastic_block_store.volume_id))
    if source.azure_disk is not None:
        return InTreeVolume(_AZURE_DISK, source.azure_disk.disk_uri)
    if source.azure_file is not None:
        file = source.azure_file
        handle = f"#{file.secret_name}#{file.share_name}##{file.secret_namespace or ''}"
        return InTreeVolume(_AZURE_FILE, handle)
    if source.cinder is not None:
        return InTreeVolume(_CINDER, source.cinder.volume_id)
    if source.portworx_volume is not None:
        return InTreeVolume(_PORTWORX, source.portworx_volume.volume_id)
    if source.vsphere_volume is not None:
        return InTreeVolume(_VSPHERE, source.vsphere_volume.volume_path)
    return None


def _gce_handle(disk: str, zones: str) -> str:
    first, *others = zones.split(ZONE_SEPARATOR)
    if others:
        region = first.rpartition("-")[0]
        return f"projects/{_UNSPECIFIED}/regions/{region}/disks/{disk}"
    return f"projects/{_UNSPECIFIED}/zones/{first or _UNSPECIFIED}/disks/{disk}"


def _ebs_handle(volume_id: str) -> str:
    """Return the id without `aws://zone/` before it."""
    return volume_id.rpartition("/")[2] if volume_id.startswith("aws://") else volume_id


def zones_of(volume: PersistentVolume) -> str:
    """Return a volume's zones, as its label lists them; empty for none."""
    labels = volume.metadata.labels
    return labels.get(BETA_ZONE) or labels.get(ZONE, "")


def migrated_terms(volume: PersistentVolume, plugin: str) -> tuple[NodeSelectorTerm, ...] | None:
    """Return which nodes reach a volume once the plugin's driver has it; None for all.

    The driver has its own label for zones. Zones in the volume's node affinity are renamed; a
    volume that only has them in its labels gets them as affinity.
    """
    affinity = volume.spec.node_affinity
    required = affinity.required if affinity is not None else None
    terms = None if required is None else required.node_selector_terms
    zone_key = _ZONE_KEYS.get(plugin)
    if zone_key is None:
        return terms
    expressions = [e for term in terms or () for e in term.match_expressions]
    keys = {e.key for e in expressions}
    zone, region = _labels_in_use(keys, volume.metadata.labels)
    new_keys = {zone: zone_key} | ({region: REGION} if region == BETA_REGION else {})
    renamed = tuple(_renamed(term, new_keys) for term in terms or ())
    if any(e.key == zone and e.values for e in expressions):
        return renamed
    zones = [name.strip() for name in volume.metadata.labels.get(zone, "").split(ZONE_SEPARATOR)]
    values = tuple(name for name in zones if name)
    if not values:
        return terms if terms is None else renamed
    added = NodeSelectorRequirement(key=zone_key, operator="In", values=values)
    return tuple(
        msgspec.structs.replace(term, match_expressions=(*term.match_expressions, added))
        for term in renamed or (NodeSelectorTerm(),)
    )


def _labels_in_use(keys: Container[str], labels: Container[str]) -> tuple[str, str]:
    """Return whether a volume speaks of zones and regions by the new labels or the old ones."""
    for names in (keys, labels):
        if ZONE in names:
            return ZONE, REGION
        if BETA_ZONE in names:
            return BETA_ZONE, BETA_REGION
    return ZONE, REGION


def _renamed(term: NodeSelectorTerm, new_keys: Mapping[str, str]) -> NodeSelectorTerm:
    expressions = tuple(
        msgspec.structs.replace(e, key=new_keys.get(e.key, e.key)) for e in term.match_expressions
    )
    return msgspec.structs.replace(term, match_expressions=expressions)
