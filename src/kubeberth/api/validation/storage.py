"""Volumes, claims, storage classes, and CSI drivers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.quantity import parse_quantity
from kubeberth.api.validation.field_error import (
    FieldError,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from kubeberth.api.validation.internal_form import (
    claim_spec_as_shown,
    difference,
    volume_source_as_shown,
)
from kubeberth.api.validation.metadata import (
    IMMUTABLE,
    validate_label_key,
    validate_metadata,
    validate_metadata_update,
)
from kubeberth.api.validation.rules import Rules
from kubeberth.api.validation.selectors import validate_label_selector, validate_node_selector
from kubeberth.api.validation.volumes import validate_host_path
from kubeberth.api.validation.workloads import validate_not_negative

_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_VOLUME_MODES = ("Block", "Filesystem")
_VOLUME_RECLAIMS = ("Delete", "Recycle", "Retain")
_CLASS_RECLAIMS = ("Delete", "Retain")
_BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
_LIFECYCLE_MODES = ("Ephemeral", "Persistent")
_FS_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
_ALONE = "may not use ReadWriteOncePod with other access modes"
_MAX_DRIVER_NAME = 63
_MAX_NODE_ID = 256
_MAX_PARAMETERS_BYTES = 256 * 1024
# Of a volume's spec, in the order in which upstream looks at them; the others are no sources.
_SOURCES = (
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
)
# Which texts a source must have.
_NEEDED = {
    "nfs": ("server", "path"),
    "csi": ("driver", "volumeHandle"),
    "awsElasticBlockStore": ("volumeID",),
    "gcePersistentDisk": ("pdName",),
    "cinder": ("volumeID",),
    "vsphereVolume": ("volumePath",),
    "portworxVolume": ("volumeID",),
}


def validate_volume(volume: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a persistent volume."""
    spec = volume.get("spec") or {}
    errors = validate_metadata(volume.get("metadata") or {}, namespaced=False)
    errors += _validate_access_modes(spec, "")
    errors += _validate_capacity(spec.get("capacity"), "spec.capacity")
    policy = spec.get("persistentVolumeReclaimPolicy", "")
    if policy and policy not in _VOLUME_RECLAIMS:
        path = "spec.persistentVolumeReclaimPolicy"
        errors.append(not_supported(path, policy, _VOLUME_RECLAIMS))
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        errors += _validate_node_affinity(affinity, "spec.nodeAffinity")
    errors += _validate_sources(spec, "spec")
    return errors + _validate_class_and_mode(spec)


def validate_volume_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a persistent volume's update is not allowed."""
    errors = validate_volume(new)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if any(spec.get(source) != before.get(source) for source in _SOURCES):
        path = "spec.persistentvolumesource"
        change = difference(*map(volume_source_as_shown, (before, spec)))
        errors.append(forbidden(path, f"{path} is immutable after creation\n{change}"))
    if spec.get("volumeMode") != before.get("volumeMode"):
        errors.append(invalid("volumeMode", spec.get("volumeMode"), IMMUTABLE))
    had, has = before.get("nodeAffinity"), spec.get("nodeAffinity")
    if had is not None and has != had:
        detail = f"{IMMUTABLE}, except for updating from beta label to GA"
        errors.append(invalid("nodeAffinity", _affinity_as_shown(has), detail))
    return errors


def validate_volume_status(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a volume's status is not allowed."""
    return validate_metadata_update(new["metadata"], old["metadata"])


def _affinity_as_shown(affinity: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a volume's node affinity as upstream prints it: the internal struct."""
    if affinity is None:
        return None
    terms = [
        {
            "MatchExpressions": _requirements_as_shown(term.get("matchExpressions")),
            "MatchFields": _requirements_as_shown(term.get("matchFields")),
        }
        for term in (affinity.get("required") or {}).get("nodeSelectorTerms") or ()
    ]
    return {"Required": {"NodeSelectorTerms": terms}}


def _requirements_as_shown(requirements: list[dict[str, Any]] | None) -> list[Any] | None:
    if not requirements:
        return None
    return [
        {"Key": r.get("key", ""), "Operator": r.get("operator", ""), "Values": r.get("values")}
        for r in requirements
    ]


def _validate_access_modes(spec: Mapping[str, Any], missing: str) -> list[FieldError]:
    modes = spec.get("accessModes") or []
    path = "spec.accessModes"
    if not modes:
        return [required(path, missing)]
    errors = [
        not_supported(path, mode, _ACCESS_MODES) for mode in modes if mode not in _ACCESS_MODES
    ]
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        errors.append(forbidden(path, _ALONE))
    return errors


def _validate_capacity(capacity: Mapping[str, str] | None, path: str) -> list[FieldError]:
    errors = [] if capacity else [required(path)]
    if not capacity or set(capacity) != {"storage"}:
        errors.append(not_supported(path, capacity or None, ("storage",)))
    for name, amount in (capacity or {}).items():
        errors += _validate_positive(amount, f"{path}[{name}]")
    return errors


def _validate_positive(amount: str, path: str) -> list[FieldError]:
    if parse_quantity(amount).nanos > 0:
        return []
    return [invalid(path, amount, "must be greater than zero")]


def _validate_node_affinity(affinity: Mapping[str, Any], path: str) -> list[FieldError]:
    if affinity.get("required") is None:
        return [required(f"{path}.required", "must specify required node constraints")]
    return validate_node_selector(affinity["required"], f"{path}.required")


def _validate_sources(spec: Mapping[str, Any], path: str) -> list[FieldError]:
    found = [source for source in _SOURCES if spec.get(source) is not None]
    if not found:
        return [required(path, "must specify a volume type")]
    first, *others = found
    errors = _validate_source(first, spec, f"{path}.{first}")
    detail = "may not specify more than 1 volume type"
    return errors + [forbidden(f"{path}.{source}", detail) for source in others]


def _validate_source(kind: str, spec: Mapping[str, Any], path: str) -> list[FieldError]:
    source = spec[kind]
    if kind == "hostPath":
        return validate_host_path(source, path)
    errors = [required(f"{path}.{f}") for f in _NEEDED.get(kind, ()) if not source.get(f)]
    if kind == "csi" and source.get("driver"):
        errors += validate_driver_name(source["driver"], f"{path}.driver")
    if kind != "local":
        return errors
    where = source.get("path", "")
    if not where:
        errors.append(required(f"{path}.path"))
    elif ".." in where.split("/"):
        errors.append(invalid(f"{path}.path", where, "must not contain '..'"))
    if spec.get("nodeAffinity") is None:
        errors.append(required("spec.nodeAffinity", "Local volume requires node affinity"))
    return errors


def _validate_class_and_mode(spec: Mapping[str, Any]) -> list[FieldError]:
    name, mode = spec.get("storageClassName"), spec.get("volumeMode")
    errors: list[FieldError] = []
    if name:
        details = names.dns1123_subdomain_errors(name)
        errors += each_invalid("spec.storageClassName", name, details)
    if mode is not None and mode not in _VOLUME_MODES:
        errors.append(not_supported("spec.volumeMode", mode, _VOLUME_MODES))
    return errors


def validate_claim(claim: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a claim."""
    spec = claim.get("spec") or {}
    errors = validate_metadata(claim.get("metadata") or {})
    errors += _validate_access_modes(spec, "at least 1 access mode is required")
    errors += validate_label_selector(spec.get("selector"), "spec.selector")
    amount = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    path = "spec.resources[storage]"
    errors += [required(path)] if amount is None else _validate_positive(amount, path)
    return errors + _validate_class_and_mode(spec)


def validate_claim_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a claim's update is not allowed.

    A volume may be chosen, a class given to a claim without one, and a bound claim may grow.
    """
    errors = validate_metadata_update(new["metadata"], old["metadata"]) + validate_claim(new)
    spec, before = dict(new.get("spec") or {}), dict(old.get("spec") or {})
    if not before.get("volumeName"):
        spec.pop("volumeName", None)
        before.pop("volumeName", None)
    if before.get("storageClassName") is None:
        spec.pop("storageClassName", None)
    for document in (spec, before):
        document.pop("volumeAttributesClassName", None)
    wanted, had = (_storage_of(document) for document in (spec, before))
    if (old.get("status") or {}).get("phase") == "Bound" and had is not None:
        if wanted is not None and wanted < had:
            path = "spec.resources.requests.storage"
            errors.append(forbidden(path, "field can not be less than status.capacity"))
        spec["resources"] = before["resources"]
    if spec != before:
        detail = (
            "spec is immutable after creation except resources.requests and "
            "volumeAttributesClassName for bound claims\n"
        )
        change = difference(*map(claim_spec_as_shown, (before, spec)))
        errors.append(forbidden("spec", f"{detail}{change}"))
    if spec.get("volumeMode") != before.get("volumeMode"):
        errors.append(invalid("volumeMode", spec.get("volumeMode"), IMMUTABLE))
    return errors


def validate_claim_status(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a claim's status is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    spec = new.get("spec") or {}
    if not spec.get("accessModes"):
        errors.append(required("spec.accessModes"))
    return errors


def _storage_of(spec: Mapping[str, Any]) -> int | None:
    amount = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    return None if amount is None else parse_quantity(amount).nanos


def validate_storage_class(storage_class: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a storage class."""
    errors = validate_metadata(storage_class.get("metadata") or {}, namespaced=False)
    provisioner = storage_class.get("provisioner", "")
    if provisioner:
        details = names.qualified_name_errors(provisioner.lower(), "a qualified name")
        errors += each_invalid("provisioner", provisioner, details)
    else:
        errors.append(required("provisioner"))
    errors += _validate_parameters(storage_class.get("parameters") or {}, "parameters")
    if (policy := storage_class.get("reclaimPolicy")) not in _CLASS_RECLAIMS:
        errors.append(not_supported("reclaimPolicy", policy or "", _CLASS_RECLAIMS))
    if (mode := storage_class.get("volumeBindingMode")) not in _BINDING_MODES:
        errors.append(not_supported("volumeBindingMode", mode or "", _BINDING_MODES))
    terms = storage_class.get("allowedTopologies") or []
    return errors + _validate_topologies(terms, "allowedTopologies")


def validate_storage_class_update(
    new: Mapping[str, Any], old: Mapping[str, Any]
) -> list[FieldError]:
    """Return what of a storage class's update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    if (new.get("parameters") or {}) != (old.get("parameters") or {}):
        errors.append(forbidden("parameters", "updates to parameters are forbidden."))
    for field in ("provisioner", "reclaimPolicy", "volumeBindingMode"):
        if new.get(field) != old.get(field):
            errors.append(invalid(field, new.get(field), IMMUTABLE))
    terms = new.get("allowedTopologies") or []
    return errors + _validate_topologies(terms, "allowedTopologies")


def _validate_parameters(parameters: Mapping[str, str], path: str) -> list[FieldError]:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items())
    errors = [invalid(path, "", "field can not be empty.")] if "" in parameters else []
    return errors + (
        [too_long(path, _MAX_PARAMETERS_BYTES)] if size > _MAX_PARAMETERS_BYTES else []
    )


def _validate_topologies(terms: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    # A term without expressions counts as a repetition: upstream compares with empty maps too.
    seen: list[dict[str, frozenset[str]]] = [{}]
    for index, term in enumerate(terms):
        here = f"{path}[{index}].matchLabelExpressions"
        expressions: dict[str, frozenset[str]] = {}
        for position, requirement in enumerate(term.get("matchLabelExpressions") or ()):
            key, values = requirement.get("key", ""), requirement.get("values") or []
            errors += _validate_topology(key, values, f"{here}[{position}]")
            if key in expressions:
                errors.append(duplicate(f"{here}[{position}].key", key))
            expressions[key] = frozenset(values)
        if expressions in seen:
            errors.append(duplicate(here, ""))
        seen.append(expressions)
    return errors


def _validate_topology(key: str, values: list[str], path: str) -> list[FieldError]:
    errors = [] if values else [required(f"{path}.values")]
    for index, value in enumerate(values):
        if value in values[:index]:
            errors.append(duplicate(f"{path}.values[{index}]", value))
    return errors + validate_label_key(key, f"{path}.key")


def validate_csi_node(csi_node: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a CSI node."""
    errors = validate_metadata(csi_node.get("metadata") or {}, namespaced=False)
    seen: set[str] = set()
    for index, driver in enumerate((csi_node.get("spec") or {}).get("drivers") or ()):
        path, name = f"spec.drivers[{index}]", driver.get("name", "")
        errors += validate_driver_name(name, f"{path}.name")
        node_id = driver.get("nodeID", "")
        if not node_id:
            errors.append(required(f"{path}.nodeID"))
        elif len(node_id) > _MAX_NODE_ID:
            errors.append(too_long(f"{path}.nodeID", _MAX_NODE_ID))
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None:
            errors += validate_not_negative(count, f"{path}.allocatable.count")
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
        errors += _validate_topology_keys(driver.get("topologyKeys") or [], path)
    return errors


def _validate_topology_keys(keys: list[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, key in enumerate(keys):
        if key in keys[:index]:
            errors.append(duplicate(path, key))
        errors += validate_label_key(key, path)
    return errors


def validate_csi_node_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a CSI node's update is not allowed: a registered driver stays as it is."""
    errors = validate_csi_node(new)
    drivers = {d.get("name"): d for d in (new.get("spec") or {}).get("drivers") or ()}
    for before in (old.get("spec") or {}).get("drivers") or ():
        driver = drivers.get(before.get("name"))
        if driver is not None and driver != before:
            errors.append(invalid("CSINodeDriver", _driver_as_shown(driver), IMMUTABLE))
    return errors


def _driver_as_shown(driver: Mapping[str, Any]) -> dict[str, Any]:
    """Return a node's driver as upstream prints it: the internal struct."""
    allocatable = driver.get("allocatable")
    shown = None if allocatable is None else {"Count": allocatable.get("count")}
    return {
        "Name": driver.get("name", ""),
        "NodeID": driver.get("nodeID", ""),
        "TopologyKeys": driver.get("topologyKeys"),
        "Allocatable": shown,
    }


def validate_driver_name(name: str, path: str) -> list[FieldError]:
    """Return the faults of the name of a driver, of volumes or of devices."""
    if not name:
        return [required(path)]
    errors = [too_long(path, _MAX_DRIVER_NAME)] if len(name) > _MAX_DRIVER_NAME else []
    return errors + each_invalid(path, name, names.dns1123_subdomain_errors(name.lower()))


def validate_csi_driver(driver: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a CSI driver."""
    metadata, spec = driver.get("metadata") or {}, driver.get("spec") or {}
    errors = validate_metadata(metadata, namespaced=False)
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in _LIFECYCLE_MODES:
            errors.append(not_supported("spec.volumeLifecycleModes", mode, _LIFECYCLE_MODES))
    policy = spec.get("fsGroupPolicy")
    if policy is not None and policy not in _FS_GROUP_POLICIES:
        errors.append(not_supported("spec.fsGroupPolicy", policy, _FS_GROUP_POLICIES))
    return errors


def validate_csi_driver_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a CSI driver's update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    for field in ("attachRequired", "fsGroupPolicy", "volumeLifecycleModes"):
        if field != "fsGroupPolicy" and spec.get(field) != before.get(field):
            errors.append(invalid(f"spec.{field}", spec.get(field), IMMUTABLE))
    return errors


def validate_capacity(capacity: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of what a driver says it has room for."""
    errors = validate_metadata(capacity.get("metadata") or {})
    name = capacity.get("storageClassName", "")
    errors += validate_label_selector(capacity.get("nodeTopology"), "nodeTopology")
    if not name:
        errors.append(required("storageClassName"))
    else:
        details = names.dns1123_subdomain_errors(name)
        errors += each_invalid("storageClassName", name, details)
    for field in ("capacity", "maximumVolumeSize"):
        amount = capacity.get(field)
        if amount is not None and parse_quantity(amount).nanos < 0:
            errors.append(invalid(field, amount, "must be greater than or equal to 0"))
    return errors


def validate_capacity_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a capacity's update is not allowed: it stays with its class and place."""
    errors = validate_capacity(new)
    errors += validate_metadata_update(new["metadata"], old["metadata"])
    for field in ("nodeTopology", "storageClassName"):
        if new.get(field) != old.get(field):
            errors.append(invalid(field, new.get(field), IMMUTABLE))
    return errors


def validate_attachment(attachment: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a volume attachment."""
    spec = attachment.get("spec") or {}
    errors = validate_metadata(attachment.get("metadata") or {}, namespaced=False)
    errors += validate_driver_name(spec.get("attacher", ""), "spec.attacher")
    source = spec.get("source") or {}
    named, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    if named is None and inline is None:
        detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        errors.append(required("spec.source", detail))
    elif named is not None and inline is not None:
        detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        errors.append(forbidden("spec.source", detail))
    elif named == "":
        detail = "must specify non empty persistentVolumeName"
        errors.append(required("spec.source.persistentVolumeName", detail))
    node = spec.get("nodeName", "")
    return errors + each_invalid("spec.nodeName", node, names.dns1123_subdomain_errors(node))


def validate_attachment_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a volume attachment's update is not allowed: its spec stays."""
    errors = validate_attachment(new)
    if new.get("spec") != old.get("spec"):
        errors.append(invalid("spec", new.get("spec"), IMMUTABLE))
    return errors


RULES = {
    "persistentvolumes": Rules(validate_volume, validate_volume_update, validate_volume_status),
    "persistentvolumeclaims": Rules(validate_claim, validate_claim_update, validate_claim_status),
    "storageclasses.storage.k8s.io": Rules(validate_storage_class, validate_storage_class_update),
    "csinodes.storage.k8s.io": Rules(validate_csi_node, validate_csi_node_update),
    "csidrivers.storage.k8s.io": Rules(validate_csi_driver, validate_csi_driver_update),
    "csistoragecapacities.storage.k8s.io": Rules(validate_capacity, validate_capacity_update),
    "volumeattachments.storage.k8s.io": Rules(validate_attachment, validate_attachment_update),
}
"""By resource."""
