"""Volumes of a pod spec, as far as placing a pod depends on them.

A volume whose source is none of these, such as a `configMap`, decodes to one without any.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kubeberth.api.meta import ApiStruct


class PersistentVolumeClaimVolumeSource(ApiStruct, frozen=True):
    """A claim in the pod's namespace."""

    claim_name: str = ""
    read_only: bool = False


class EphemeralVolumeSource(ApiStruct, frozen=True):
    """A claim that is made for the pod alone, and named after it."""

    volume_claim_template: dict[str, Any] = {}


class GCEPersistentDiskVolumeSource(ApiStruct, frozen=True):
    """A disk of Google Compute Engine."""

    pd_name: str = ""
    read_only: bool = False


class AWSElasticBlockStoreVolumeSource(ApiStruct, frozen=True):
    """A disk of Amazon EBS."""

    volume_id: str = msgspec.field(default="", name="volumeID")
    read_only: bool = False


class RBDVolumeSource(ApiStruct, frozen=True):
    """An image in a Ceph cluster."""

    monitors: tuple[str, ...] = ()
    image: str = ""
    pool: str = "rbd"
    read_only: bool = False


class ISCSIVolumeSource(ApiStruct, frozen=True):
    """A disk behind an iSCSI target."""

    target_portal: str = ""
    iqn: str = ""
    lun: int = 0
    read_only: bool = False


class AzureDiskVolumeSource(ApiStruct, frozen=True):
    """A disk of Azure."""

    disk_name: str = ""
    disk_uri: str = msgspec.field(default="", name="diskURI")


class AzureFileVolumeSource(ApiStruct, frozen=True):
    """A share of Azure Files."""

    secret_name: str = ""
    share_name: str = ""
    secret_namespace: str | None = None


class CinderVolumeSource(ApiStruct, frozen=True):
    """A disk of OpenStack."""

    volume_id: str = msgspec.field(default="", name="volumeID")


class PortworxVolumeSource(ApiStruct, frozen=True):
    """A volume of Portworx."""

    volume_id: str = msgspec.field(default="", name="volumeID")


class VsphereVirtualDiskVolumeSource(ApiStruct, frozen=True):
    """A disk of vSphere."""

    volume_path: str = ""


class ImageVolumeSource(ApiStruct, frozen=True):
    """The content of an image."""

    reference: str = ""


class InTreeSources(ApiStruct, frozen=True):
    """Sources that once were drivers of Kubernetes itself; at most one is set.

    A pod's volume and a PersistentVolume name them alike.
    """

    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = None
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = None
    azure_disk: AzureDiskVolumeSource | None = None
    azure_file: AzureFileVolumeSource | None = None
    cinder: CinderVolumeSource | None = None
    portworx_volume: PortworxVolumeSource | None = None
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = None


class Volume(InTreeSources, frozen=True):
    """One volume of a pod; has at most one source."""

    name: str = ""
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    rbd: RBDVolumeSource | None = None
    iscsi: ISCSIVolumeSource | None = None
    image: ImageVolumeSource | None = None
