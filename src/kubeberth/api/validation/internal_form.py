"""Objects as upstream prints them in errors: its internal structs, with Go's names and zeros.

A message such as `spec.template: Invalid value: {...}: field is immutable` holds the whole value,
not as clients write it but as Kubernetes keeps it: every field, also the empty ones, in the order
of the struct in `pkg/apis/core/types.go` of Kubernetes 1.36.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from kubeberth.api import schema
from kubeberth.api.schema import Definition, Field

# Fields of the internal structs in their order, where it matters to what is compared; the fields
# of other types come by name.
_ORDER: dict[str, tuple[str, ...]] = {
    "PodSpec": (
        "volumes", "initContainers", "containers", "ephemeralContainers", "restartPolicy",
        "terminationGracePeriodSeconds", "activeDeadlineSeconds", "dnsPolicy", "nodeSelector",
        "serviceAccountName", "automountServiceAccountToken", "nodeName", "securityContext",
        "imagePullSecrets", "hostname", "subdomain", "setHostnameAsFQDN", "affinity",
        "schedulerName", "tolerations", "hostAliases", "priorityClassName", "priority",
        "preemptionPolicy", "dnsConfig", "readinessGates", "runtimeClassName", "overhead",
        "enableServiceLinks", "topologySpreadConstraints", "os", "schedulingGates",
        "resourceClaims", "resources", "hostnameOverride", "schedulingGroup",
    ),
    "Container": (
        "name", "image", "command", "args", "workingDir", "ports", "envFrom", "env", "resources",
        "resizePolicy", "restartPolicy", "restartPolicyRules", "volumeMounts", "volumeDevices",
        "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "terminationMessagePath",
        "terminationMessagePolicy", "imagePullPolicy", "securityContext", "stdin", "stdinOnce",
        "tty",
    ),
    "EphemeralContainer": (
        "name", "image", "command", "args", "workingDir", "ports", "envFrom", "env", "resources",
        "resizePolicy", "restartPolicy", "restartPolicyRules", "volumeMounts", "volumeDevices",
        "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "terminationMessagePath",
        "terminationMessagePolicy", "imagePullPolicy", "securityContext", "stdin", "stdinOnce",
        "tty", "targetContainerName",
    ),
    "PodSecurityContext": (
        "seLinuxOptions", "windowsOptions", "runAsUser", "runAsGroup", "runAsNonRoot",
        "supplementalGroups", "supplementalGroupsPolicy", "fsGroup", "fsGroupChangePolicy",
        "sysctls", "seccompProfile", "appArmorProfile", "seLinuxChangePolicy",
    ),
    "ContainerPort": ("name", "hostPort", "containerPort", "protocol", "hostIP"),
    "EnvVar": ("name", "value", "valueFrom"),
    "ResourceRequirements": ("limits", "requests", "claims"),
    "Affinity": ("nodeAffinity", "podAffinity", "podAntiAffinity"),
    "NodeAffinity": (
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    ),
    "PodAffinity": (
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    ),
    "NodeSelectorTerm": ("matchExpressions", "matchFields"),
    "NodeSelectorRequirement": ("key", "operator", "values"),
    "AllocationResult": ("devices", "nodeSelector", "allocationTimestamp"),
    "DeviceAllocationResult": ("results", "config"),
    "DeviceClaim": ("requests", "constraints", "config"),
    "DeviceConstraint": ("requests", "matchAttribute", "distinctAttribute"),
    "DeviceRequest": ("name", "exactly", "firstAvailable"),
    "DeviceRequestAllocationResult": (
        "request", "driver", "pool", "device", "adminAccess", "tolerations", "bindingConditions",
        "bindingFailureConditions", "shareID", "consumedCapacity",
    ),
    "DeviceSubRequest": (
        "name", "deviceClassName", "selectors", "allocationMode", "count", "tolerations",
        "capacity",
    ),
    "DeviceToleration": ("key", "operator", "value", "effect", "tolerationSeconds"),
    "ExactDeviceRequest": (
        "deviceClassName", "selectors", "allocationMode", "count", "adminAccess", "tolerations",
        "capacity",
    ),
    "PersistentVolumeClaimSpec": (
        "accessModes", "selector", "resources", "volumeName", "storageClassName", "volumeMode",
        "dataSource", "dataSourceRef", "volumeAttributesClassName",
    ),
    "Toleration": ("key", "operator", "value", "effect", "tolerationSeconds"),
}  # fmt: skip
# Of a pod's spec, but kept in its security context; whether absent means false, or nothing.
_HOST_FIELDS = {
    "hostNetwork": False,
    "hostPID": False,
    "hostIPC": False,
    "shareProcessNamespace": None,
    "hostUsers": None,
}
# The part of a volume's spec that is a struct of its own, in its order.
_VOLUME_SOURCES = (
    "gcePersistentDisk", "awsElasticBlockStore", "hostPath", "glusterfs", "nfs", "rbd", "quobyte",
    "iscsi", "flexVolume", "cinder", "cephfs", "fc", "flocker", "azureFile", "vsphereVolume",
    "azureDisk", "photonPersistentDisk", "portworxVolume", "scaleIO", "local", "storageos", "csi",
)  # fmt: skip
_ACRONYMS = {
    "awsElasticBlockStore": "AWSElasticBlockStore",
    "cephfs": "CephFS",
    "csi": "CSI",
    "fc": "FC",
    "gcePersistentDisk": "GCEPersistentDisk",
    "iscsi": "ISCSI",
    "nfs": "NFS",
    "rbd": "RBD",
    "storageos": "StorageOS",
    "cel": "CEL",
    "dnsPolicy": "DNSPolicy",
    "dnsConfig": "DNSConfig",
    "tty": "TTY",
    "os": "OS",
    "seLinuxOptions": "SELinuxOptions",
    "seLinuxChangePolicy": "SELinuxChangePolicy",
    "fsGroup": "FSGroup",
    "fsGroupChangePolicy": "FSGroupChangePolicy",
}
_SCALAR_ZEROS = {schema.STRING: "", schema.BOOL: False, schema.INT32: 0, schema.INT64: 0}
_POD_SPEC = "io.k8s.api.core.v1.PodSpec"
_CLAIM_SPEC = "io.k8s.api.core.v1.PersistentVolumeClaimSpec"
_VOLUME_SPEC = "io.k8s.api.core.v1.PersistentVolumeSpec"
# What is shared by all of upstream has no internal form: it prints as clients write it.
_SHARED = "io.k8s.apimachinery."
_EPHEMERAL_CONTAINER = "io.k8s.api.core.v1.EphemeralContainer"
# Lines of a difference around what differs.
_CONTEXT = 3


def pod_template_as_shown(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pod template as upstream prints it; its metadata have no name of their own."""
    metadata = {
        name: dict(sorted(value.items())) if isinstance(value, dict) else value
        for name, value in (template.get("metadata") or {}).items()
    }
    return {**metadata, "Spec": pod_spec_as_shown(template.get("spec") or {})}


def pod_spec_as_shown(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pod spec as upstream prints it."""
    return _shown(schema.definition(_POD_SPEC), spec)


def ephemeral_container_as_shown(container: Mapping[str, Any]) -> dict[str, Any]:
    """Return an ephemeral container as upstream prints it."""
    return _shown(schema.definition(_EPHEMERAL_CONTAINER), container)


def claim_spec_as_shown(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec of a persistent volume claim as upstream prints it."""
    return _shown(schema.definition(_CLAIM_SPEC), spec)


def volume_source_as_shown(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the source of a persistent volume with that spec as upstream prints it."""
    fields = schema.definition(_VOLUME_SPEC).fields
    return {_go_name(name): _field_as_shown(fields[name], spec) for name in _VOLUME_SOURCES}


def resource_as_shown(kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part of a claim of devices, of the given type, as upstream prints it."""
    return _shown(schema.definition(f"io.k8s.api.resource.v1.{kind}"), value)


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return what differs between two objects as shown, the way upstream prints it."""
    found = difflib.unified_diff(_lines(old), _lines(new), n=_CONTEXT)
    return "".join(line for line in found if line not in ("--- \n", "+++ \n"))


def _lines(shown: Mapping[str, Any]) -> list[str]:
    return json.dumps(shown, indent=1, ensure_ascii=False).splitlines(keepends=True)


def _shown(definition: Definition, value: Mapping[str, Any]) -> dict[str, Any]:
    if definition.name.startswith(_SHARED):
        return dict(value)
    order = _ORDER.get(definition.go_name, tuple(definition.fields))
    fields = [definition.fields[name] for name in order if name in definition.fields]
    shown = {_go_name(field.name): _field_as_shown(field, value) for field in fields}
    if definition.go_name == "PodSpec" and shown["SecurityContext"] is not None:
        host = {_go_name(name): value.get(name, zero) for name, zero in _HOST_FIELDS.items()}
        shown["SecurityContext"] = host | shown["SecurityContext"]
    return shown


def _field_as_shown(field: Field, holder: Mapping[str, Any]) -> Any:
    value = holder.get(field.name)
    if value is None:
        return _zero(field)
    return _value_as_shown(field.type, value)


def _value_as_shown(type_: schema.Type, value: Any) -> Any:
    if type_.code == schema.OBJECT:
        return _shown(type_.definition, value)
    if type_.code == schema.LIST and type_.element is not None:
        return [_value_as_shown(type_.element, item) for item in value] or None
    if type_.code == schema.MAP:
        return dict(sorted(value.items())) or None
    return value


def _zero(field: Field) -> Any:
    """Return what Go prints for a field that is not there: pointers, lists and maps are null."""
    is_plain = field.omit_zero or field.required or field.zero is not None
    if field.code == schema.OBJECT and field.zero is not None:
        return _shown(field.type.definition, {})
    return _SCALAR_ZEROS.get(field.code) if is_plain else None


def _go_name(name: str) -> str:
    return _ACRONYMS.get(name) or name[0].upper() + name[1:]
