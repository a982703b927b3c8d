"""Columns of volumes, claims, and what provides them."""

from __future__ import annotations

from typing import Any

from kubeberth.api.storage import BETA_CLASS, IS_DEFAULT_CLASS
from kubeberth.apiserver.cells import UNKNOWN, age_of
from kubeberth.apiserver.columns.printer import AGE, NAME, Column, Document, Printer, name_of

UNSET = "<unset>"
_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _access_modes(modes: list[str] | None) -> str:
    """Return access modes in short, in upstream's order, each once."""
    return ",".join(short for mode, short in _MODES.items() if mode in (modes or ()))


def _class_of(document: Document) -> str:
    annotations = document["metadata"].get("annotations") or {}
    name: str = annotations.get(BETA_CLASS) or (document.get("spec") or {}).get(
        "storageClassName", ""
    )
    return name


def _phase(document: Document) -> str:
    if "deletionTimestamp" in document["metadata"]:
        return "Terminating"
    phase: str = (document.get("status") or {}).get("phase", "")
    return phase


def _volume_cells(volume: Document, now: float) -> list[Any]:
    spec, status = volume.get("spec") or {}, volume.get("status") or {}
    claim = spec.get("claimRef") or {}
    return [
        name_of(volume),
        (spec.get("capacity") or {}).get("storage", "0"),
        _access_modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _phase(volume),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class_of(volume),
        spec.get("volumeAttributesClassName") or UNSET,
        status.get("reason", ""),
        age_of(volume, now),
        spec.get("volumeMode") or UNSET,
    ]


def _claim_cells(claim: Document, now: float) -> list[Any]:
    spec, status = claim.get("spec") or {}, claim.get("status") or {}
    is_bound = bool(spec.get("volumeName"))
    return [
        name_of(claim),
        _phase(claim),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "0") if is_bound else "",
        _access_modes(status.get("accessModes")) if is_bound else "",
        _class_of(claim),
        spec.get("volumeAttributesClassName") or UNSET,
        age_of(claim, now),
        spec.get("volumeMode") or UNSET,
    ]


def _class_cells(storage_class: Document, now: float) -> list[Any]:
    annotations = storage_class["metadata"].get("annotations") or {}
    is_default = any(annotations.get(name) == "true" for name in IS_DEFAULT_CLASS)
    return [
        name_of(storage_class) + (" (default)" if is_default else ""),
        storage_class.get("provisioner", ""),
        storage_class.get("reclaimPolicy", "Delete"),
        storage_class.get("volumeBindingMode", "Immediate"),
        bool(storage_class.get("allowVolumeExpansion")),
        age_of(storage_class, now),
    ]


def _node_cells(csi_node: Document, now: float) -> list[Any]:
    drivers = (csi_node.get("spec") or {}).get("drivers") or ()
    return [name_of(csi_node), len(drivers), age_of(csi_node, now)]


def _driver_cells(driver: Document, now: float) -> list[Any]:
    spec = driver.get("spec") or {}
    audiences = [request.get("audience", "") for request in spec.get("tokenRequests") or ()]
    return [
        name_of(driver),
        bool(spec.get("attachRequired", True)),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        ",".join(audiences) or UNSET,
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or UNKNOWN,
        age_of(driver, now),
    ]


def _capacity_cells(capacity: Document, now: float) -> list[Any]:
    return [
        name_of(capacity),
        capacity.get("storageClassName", ""),
        capacity.get("capacity") or UNSET,
    ]


def _attachment_cells(attachment: Document, now: float) -> list[Any]:
    spec = attachment.get("spec") or {}
    return [
        name_of(attachment),
        spec.get("attacher", ""),
        (spec.get("source") or {}).get("persistentVolumeName", ""),
        spec.get("nodeName", ""),
        bool((attachment.get("status") or {}).get("attached")),
        age_of(attachment, now),
    ]


def _attributes_class_cells(attributes_class: Document, now: float) -> list[Any]:
    return [
        name_of(attributes_class),
        attributes_class.get("driverName", ""),
        age_of(attributes_class, now),
    ]


_VOLUME_MODE = Column("VolumeMode", "file system or raw device", wide=True)
_ATTRIBUTES_CLASS = Column("VolumeAttributesClass", "class of its changeable attributes")
_MODE_COLUMN = Column("Access Modes", "how it may be mounted")
_CLASS_COLUMN = Column("StorageClass", "its storage class")
PRINTERS: dict[str, Printer] = {
    "persistentvolumes": Printer(
        (
            NAME,
            Column("Capacity", "how much it holds"),
            _MODE_COLUMN,
            Column("Reclaim Policy", "what becomes of it without its claim"),
            Column("Status", "what state it is in"),
            Column("Claim", "the claim it is bound to"),
            _CLASS_COLUMN,
            _ATTRIBUTES_CLASS,
            Column("Reason", "why it is in that state"),
            AGE,
            _VOLUME_MODE,
        ),
        _volume_cells,
    ),
    "persistentvolumeclaims": Printer(
        (
            NAME,
            Column("Status", "what state it is in"),
            Column("Volume", "the volume it is bound to"),
            Column("Capacity", "how much the volume holds"),
            _MODE_COLUMN,
            _CLASS_COLUMN,
            _ATTRIBUTES_CLASS,
            AGE,
            _VOLUME_MODE,
        ),
        _claim_cells,
    ),
    "storageclasses.storage.k8s.io": Printer(
        (
            NAME,
            Column("Provisioner", "who makes its volumes"),
            Column("ReclaimPolicy", "what becomes of its volumes without their claims"),
            Column("VolumeBindingMode", "whether claims wait for a pod"),
            Column("AllowVolumeExpansion", "whether its volumes may grow"),
            AGE,
        ),
        _class_cells,
    ),
    "csinodes.storage.k8s.io": Printer(
        (NAME, Column("Drivers", "number of drivers on the node", type="integer"), AGE),
        _node_cells,
    ),
    "csidrivers.storage.k8s.io": Printer(
        (
            NAME,
            Column("AttachRequired", "whether volumes are attached to nodes", type="boolean"),
            Column("PodInfoOnMount", "whether the driver is told of the pod", type="boolean"),
            Column("StorageCapacity", "whether the driver tells what room it has", type="boolean"),
            Column("TokenRequests", "audiences of the tokens it asks for"),
            Column("RequiresRepublish", "whether volumes are published again", type="boolean"),
            Column("Modes", "whose life its volumes share"),
            AGE,
        ),
        _driver_cells,
    ),
    "csistoragecapacities.storage.k8s.io": Printer(
        (
            NAME,
            Column("StorageClassName", "for volumes of which class"),
            Column("Capacity", "how much room there is"),
        ),
        _capacity_cells,
    ),
    "volumeattachments.storage.k8s.io": Printer(
        (
            NAME,
            Column("Attacher", "who attaches it"),
            Column("PV", "the volume"),
            Column("Node", "the node it is attached to"),
            Column("Attached", "whether it is attached", type="boolean"),
            AGE,
        ),
        _attachment_cells,
    ),
    "volumeattributesclasses.storage.k8s.io": Printer(
        (NAME, Column("DriverName", "of which driver"), AGE), _attributes_class_cells
    ),
}
