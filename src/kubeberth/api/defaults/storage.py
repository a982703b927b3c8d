"""Defaults of volumes, claims and what provides them."""

from __future__ import annotations

from kubeberth.api.defaults.pods import Document


def default_volume(volume: Document) -> None:
    """Set the defaults of a persistent volume."""
    spec = volume.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    volume.setdefault("status", {}).setdefault("phase", "Pending")
    for source, defaults in _SOURCE_DEFAULTS.items():
        if (found := spec.get(source)) is not None:
            for field, value in defaults.items():
                found.setdefault(field, value)


_SOURCE_DEFAULTS: dict[str, Document] = {
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "readOnly": False,
        "kind": "Shared",
    },
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def default_claim(claim: Document) -> None:
    """Set the defaults of a claim, also of one in a stateful set."""
    claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    claim.setdefault("status", {}).setdefault("phase", "Pending")


def default_storage_class(storage_class: Document) -> None:
    """Set the defaults of a storage class."""
    storage_class.setdefault("reclaimPolicy", "Delete")
    storage_class.setdefault("volumeBindingMode", "Immediate")


def default_csi_driver(driver: Document) -> None:
    """Set the defaults of a CSI driver."""
    spec = driver.setdefault("spec", {})
    for field, value in _DRIVER_DEFAULTS.items():
        spec.setdefault(field, value)
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


_DRIVER_DEFAULTS: Document = {
    "attachRequired": True,
    "podInfoOnMount": False,
    "storageCapacity": False,
    "fsGroupPolicy": "ReadWriteOnceWithFSType",
    "requiresRepublish": False,
    "seLinuxMount": False,
}
