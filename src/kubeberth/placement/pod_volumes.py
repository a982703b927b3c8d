"""PodVolumes: all that placing reads of a pod's volumes.

Most volumes are nobody's business here; a pod that has only such ones has `NO_VOLUMES`. A pod with
a claim that is made for it alone is a template of its own, because the claim bears the pod's name.
"""

from __future__ import annotations

import msgspec

from kubeberth.api.core import Pod
from kubeberth.api.volumes import Volume
from kubeberth.placement.migration import in_tree_volume


class ClaimUse(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A claim that the pod uses.

    Parameters
    ----------
    is_ephemeral
        Whether it is made for the pod alone.
    """

    name: str
    is_ephemeral: bool = False


class Disk(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An inline volume that two pods cannot always share.

    Parameters
    ----------
    identity
        Kind and name.
    monitors
        Ceph only: two disks are the same when they have one in common.
    """

    identity: tuple[str, ...]
    read_only: bool
    monitors: tuple[str, ...] | None = None

    def conflicts(self, other: Disk) -> bool:
        """Return whether two pods on one node cannot have both."""
        if self.identity != other.identity or (self.read_only and other.read_only):
            return False
        if self.monitors is None:
            return True
        return not set(self.monitors).isdisjoint(other.monitors or ())


class Migratable(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An inline volume of an in-tree plugin; see `migration.py`."""

    plugin: str
    handle: str


class PodVolumes(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What matters of a pod's volumes, each part in the order of the pod.

    Parameters
    ----------
    images
        References of image volumes.
    pod_name, pod_uid
        Who owns the ephemeral claims; empty when there are none.
    """

    claims: tuple[ClaimUse, ...] = ()
    disks: tuple[Disk, ...] = ()
    migratable: tuple[Migratable, ...] = ()
    images: tuple[str, ...] = ()
    pod_name: str = ""
    pod_uid: str = ""


NO_VOLUMES = PodVolumes()


def to_pod_volumes(pod: Pod) -> PodVolumes:
    """Return what matters of a pod's volumes."""
    volumes = pod.spec.volumes
    if not volumes:
        return NO_VOLUMES
    name = pod.metadata.name
    claims = [use for volume in volumes if (use := _claim(volume, name)) is not None]
    is_owner = any(use.is_ephemeral for use in claims)
    in_tree = [taken for volume in volumes if (taken := in_tree_volume(volume)) is not None]
    found = PodVolumes(
        tuple(claims),
        tuple(disk for volume in volumes if (disk := _disk(volume)) is not None),
        tuple(Migratable(volume.plugin, volume.handle) for volume in in_tree),
        tuple(volume.image.reference for volume in volumes if volume.image is not None),
        name if is_owner else "",
        pod.metadata.uid if is_owner else "",
    )
    return NO_VOLUMES if found == NO_VOLUMES else found


def _claim(volume: Volume, pod_name: str) -> ClaimUse | None:
    if volume.persistent_volume_claim is not None:
        return ClaimUse(volume.persistent_volume_claim.claim_name)
    if volume.ephemeral is not None:
        return ClaimUse(f"{pod_name}-{volume.name}", is_ephemeral=True)
    return None


def _disk(volume: Volume) -> Disk | None:
    if volume.gce_persistent_disk is not None:
        gce = volume.gce_persistent_disk
        return Disk(("gcePersistentDisk", gce.pd_name), gce.read_only)
    if volume.aws_elastic_block_store is not None:
        # EBS attaches a disk to one node for one user, even for reading.
        aws = volume.aws_elastic_block_store
        return Disk(("awsElasticBlockStore", aws.volume_id), read_only=False)
    if volume.iscsi is not None:
        return Disk(("iscsi", volume.iscsi.iqn), volume.iscsi.read_only)
    if volume.rbd is not None:
        rbd = volume.rbd
        return Disk(("rbd", rbd.pool, rbd.image), rbd.read_only, rbd.monitors)
    return None
