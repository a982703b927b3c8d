"""Kinds that say where volumes are and can be: claims, volumes, classes, and drivers on nodes."""

from __future__ import annotations

import msgspec

from kubeberth.api.core import NodeSelector, ResourceList, ResourceRequirements
from kubeberth.api.meta import ApiStruct, LabelSelector, ObjectMeta, ObjectReference
from kubeberth.api.scheme import (
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
    VOLUME_ATTACHMENTS,
    Resource,
)
from kubeberth.api.volumes import InTreeSources

# Annotations by which the scheduler and the controllers of volumes talk to each other.
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
MIGRATED_PLUGINS = "storage.alpha.kubernetes.io/migrated-plugins"
# Annotations of the class that claims get which name none; written is the first.
IS_DEFAULT_CLASS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"

NO_PROVISIONER = "kubernetes.io/no-provisioner"
WAIT_FOR_FIRST_CONSUMER = "WaitForFirstConsumer"
READ_WRITE_ONCE_POD = "ReadWriteOncePod"


class PersistentVolumeClaimSpec(ApiStruct, frozen=True):
    """What volume is wanted."""

    access_modes: tuple[str, ...] = ()
    selector: LabelSelector | None = None
    resources: ResourceRequirements = ResourceRequirements()
    volume_name: str = ""
    storage_class_name: str | None = None
    volume_mode: str | None = None
    volume_attributes_class_name: str | None = None


class PersistentVolumeClaimStatus(ApiStruct, frozen=True):
    """How the claim is doing."""

    phase: str = ""


class PersistentVolumeClaim(ApiStruct, frozen=True):
    """A wish for a volume."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus()

    @property
    def class_name(self) -> str:
        """Name of its class; empty for none."""
        beta = self.metadata.annotations.get(BETA_CLASS)
        return (self.spec.storage_class_name or "") if beta is None else beta

    @property
    def is_bound(self) -> bool:
        """Whether claim and volume know of each other."""
        return bool(self.spec.volume_name) and BIND_COMPLETED in self.metadata.annotations


class CSIPersistentVolumeSource(ApiStruct, frozen=True):
    """A volume of a CSI driver."""

    driver: str = ""
    volume_handle: str = ""


class VolumeNodeAffinity(ApiStruct, frozen=True):
    """From which nodes a volume can be reached."""

    required: NodeSelector | None = None


class PersistentVolumeSpec(InTreeSources, frozen=True):
    """What a volume is."""

    capacity: ResourceList = {}
    access_modes: tuple[str, ...] = ()
    claim_ref: ObjectReference | None = None
    persistent_volume_reclaim_policy: str = ""
    storage_class_name: str = ""
    volume_mode: str | None = None
    volume_attributes_class_name: str | None = None
    node_affinity: VolumeNodeAffinity | None = None
    csi: CSIPersistentVolumeSource | None = None


class PersistentVolumeStatus(ApiStruct, frozen=True):
    """How the volume is doing."""

    phase: str = ""


class PersistentVolume(ApiStruct, frozen=True):
    """A volume."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PersistentVolumeSpec = PersistentVolumeSpec()
    status: PersistentVolumeStatus = PersistentVolumeStatus()

    @property
    def class_name(self) -> str:
        """Name of its class; empty for none."""
        return self.metadata.annotations.get(BETA_CLASS, self.spec.storage_class_name)


class TopologySelectorLabelRequirement(ApiStruct, frozen=True):
    """A node label must have one of some values."""

    key: str
    values: tuple[str, ...] = ()


class TopologySelectorTerm(ApiStruct, frozen=True):
    """Requirements that must all hold; an empty term matches no node."""

    match_label_expressions: tuple[TopologySelectorLabelRequirement, ...] = ()


class StorageClass(ApiStruct, frozen=True):
    """A kind of volume, and who makes volumes of this kind."""

    metadata: ObjectMeta = ObjectMeta()
    provisioner: str = ""
    parameters: dict[str, str] = {}
    reclaim_policy: str | None = None
    volume_binding_mode: str | None = None
    allowed_topologies: tuple[TopologySelectorTerm, ...] = ()


class VolumeNodeResources(ApiStruct, frozen=True):
    """How many volumes a driver can attach to a node; None for any number."""

    count: int | None = None


class CSINodeDriver(ApiStruct, frozen=True):
    """A driver on a node."""

    name: str = ""
    allocatable: VolumeNodeResources | None = None


class CSINodeSpec(ApiStruct, frozen=True):
    """The drivers on a node."""

    drivers: tuple[CSINodeDriver, ...] = ()


class CSINode(ApiStruct, frozen=True):
    """What a node knows of CSI drivers; has the node's name."""

    metadata: ObjectMeta = ObjectMeta()
    spec: CSINodeSpec = CSINodeSpec()

    @property
    def migrated_plugins(self) -> frozenset[str]:
        """In-tree plugins whose work CSI drivers do on this node."""
        listed = self.metadata.annotations.get(MIGRATED_PLUGINS, "")
        return frozenset(listed.split(",")) if listed else frozenset()


class CSIDriverSpec(ApiStruct, frozen=True):
    """What is to be known about a driver."""

    storage_capacity: bool | None = None


class CSIDriver(ApiStruct, frozen=True):
    """A driver; its name is what provisioners and volumes call it."""

    metadata: ObjectMeta = ObjectMeta()
    spec: CSIDriverSpec = CSIDriverSpec()


class CSIStorageCapacity(ApiStruct, frozen=True):
    """How much room there is for volumes of a class in one part of the cluster."""

    metadata: ObjectMeta = ObjectMeta()
    storage_class_name: str = ""
    node_topology: LabelSelector | None = None
    capacity: str | None = None
    maximum_volume_size: str | None = None


class VolumeAttachmentSource(ApiStruct, frozen=True):
    """What is attached."""

    persistent_volume_name: str | None = None


class VolumeAttachmentSpec(ApiStruct, frozen=True):
    """What is to be attached where, and by whom."""

    attacher: str = ""
    node_name: str = ""
    source: VolumeAttachmentSource = VolumeAttachmentSource()


class VolumeAttachment(ApiStruct, frozen=True):
    """A volume that is, or is to be, attached to a node."""

    metadata: ObjectMeta = ObjectMeta()
    spec: VolumeAttachmentSpec = VolumeAttachmentSpec()


StorageObject = (
    PersistentVolumeClaim
    | PersistentVolume
    | StorageClass
    | CSINode
    | CSIDriver
    | CSIStorageCapacity
    | VolumeAttachment
)

STORAGE_KINDS: tuple[type[StorageObject], ...] = (
    PersistentVolumeClaim,
    PersistentVolume,
    StorageClass,
    CSINode,
    CSIDriver,
    CSIStorageCapacity,
    VolumeAttachment,
)

decode_storage = {kind: msgspec.json.Decoder(kind).decode for kind in STORAGE_KINDS}

# What says where volumes are and can be.
STORAGE_RESOURCES: dict[type[StorageObject], Resource] = {
    StorageClass: STORAGE_CLASSES,
    CSIDriver: CSI_DRIVERS,
    CSINode: CSI_NODES,
    CSIStorageCapacity: CSI_STORAGE_CAPACITIES,
    VolumeAttachment: VOLUME_ATTACHMENTS,
    PersistentVolume: PERSISTENT_VOLUMES,
    PersistentVolumeClaim: PERSISTENT_VOLUME_CLAIMS,
}
