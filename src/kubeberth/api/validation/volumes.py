"""Volumes of a pod spec: one name and one source each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.quantity import parse_quantity
from kubeberth.api.validation.containers import validate_field_path
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)

_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
# As a file, labels and annotations may be had as a whole.
_WHOLE_MAPS = frozenset(("metadata.labels", "metadata.annotations"))


def validate_volumes(volumes: list[dict[str, Any]], path: str) -> list[FieldError]:
    """Return the faults of a pod's volumes."""
    errors: list[FieldError] = []
    taken: set[str] = set()
    for index, volume in enumerate(volumes):
        here = f"{path}[{index}]"
        name = volume.get("name", "")
        faults = _validate_source(volume, here)
        if not name:
            faults.append(required(f"{here}.name"))
        else:
            faults += each_invalid(f"{here}.name", name, names.dns1123_label_errors(name))
        if name in taken:
            faults.append(duplicate(f"{here}.name", name))
        taken.add(name)
        errors += faults
    return errors


def _validate_source(volume: Mapping[str, Any], path: str) -> list[FieldError]:
    sources = [(kind, source) for kind, source in volume.items() if isinstance(source, dict)]
    if not sources:
        return [required(path, "must specify a volume type")]
    # Upstream looks at the kinds in the order of its struct.
    sources.sort(key=lambda item: _ORDER.get(item[0], len(_ORDER)))
    errors: list[FieldError] = []
    for index, (kind, source) in enumerate(sources):
        here = f"{path}.{kind}"
        if index:
            errors.append(forbidden(here, "may not specify more than 1 volume type"))
        else:
            errors += _validate_kind(kind, source, here)
    return errors


_ORDER = {
    kind: position
    for position, kind in enumerate(
        (
            "emptyDir",
            "hostPath",
            "gitRepo",
            "gcePersistentDisk",
            "awsElasticBlockStore",
            "secret",
            "nfs",
            "iscsi",
            "glusterfs",
            "flocker",
            "persistentVolumeClaim",
            "rbd",
            "cinder",
            "cephfs",
            "quobyte",
            "downwardAPI",
            "fc",
            "configMap",
            "azureFile",
            "vsphereVolume",
            "photonPersistentDisk",
            "portworxVolume",
            "azureDisk",
            "storageos",
            "projected",
            "scaleIO",
            "csi",
            "ephemeral",
            "image",
        )
    )
}


def _validate_kind(kind: str, source: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of the sources whose form matters here; the others are stored as sent."""
    match kind:
        case "emptyDir":
            return _validate_empty_dir(source, path)
        case "hostPath":
            return validate_host_path(source, path)
        case "secret":
            return [] if source.get("secretName") else [required(f"{path}.secretName")]
        case "configMap":
            return [] if source.get("name") else [required(f"{path}.name")]
        case "persistentVolumeClaim":
            return [] if source.get("claimName") else [required(f"{path}.claimName")]
        case "nfs":
            return [required(f"{path}.{f}") for f in ("server", "path") if not source.get(f)]
        case "csi":
            return [] if source.get("driver") else [required(f"{path}.driver")]
        case "downwardAPI":
            return _validate_downward(source.get("items") or [], f"{path}.items")
    return []


def _validate_empty_dir(source: Mapping[str, Any], path: str) -> list[FieldError]:
    limit = source.get("sizeLimit")
    if limit is not None and parse_quantity(limit).nanos < 0:
        return [forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def validate_host_path(source: Mapping[str, Any], path: str) -> list[FieldError]:
    """Return the faults of a path on the node."""
    if not source.get("path"):
        return [required(f"{path}.path")]
    errors: list[FieldError] = []
    if ".." in source["path"].split("/"):
        errors.append(invalid(f"{path}.path", source["path"], "must not contain '..'"))
    if (kind := source.get("type", "")) not in _HOST_PATH_TYPES:
        errors.append(not_supported(f"{path}.type", kind, _HOST_PATH_TYPES))
    return errors


def _validate_downward(items: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, item in enumerate(items):
        here = f"{path}[{index}]"
        if not item.get("path"):
            errors.append(required(f"{here}.path"))
        if (reference := item.get("fieldRef")) is not None:
            errors += validate_field_path(reference, f"{here}.fieldRef", _WHOLE_MAPS)
        elif item.get("resourceFieldRef") is None:
            detail = "one of fieldRef and resourceFieldRef is required"
            errors.append(required(here, detail))
    return errors
