"""The Node object that a simulated kubelet registers, and keeps up to date.

Matches kubelet 1.36 (reference section 1). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID

from kubeberth.api.core import Node
from kubeberth.api.node_labels import (
    ARCH,
    BETA_ARCH,
    BETA_OS,
    HOSTNAME,
    INSTANCE_TYPE,
    OS,
    REGION,
    ZONE,
)
from kubeberth.clock import rfc3339, rfc3339_micro
from kubeberth.kubelet.specs import NodeSpec
from kubeberth.topology.names import ALLOCATIONS_ANNOTATION, LAYOUT_ANNOTATION

LEASE_NAMESPACE = "kube-node-lease"
LEASE_DURATION_S = 40
KUBELET_PORT = 10250
ATTACH_DETACH = "volumes.kubernetes.io/controller-managed-attach-detach"

# Labels that a kubelet corrects on a Node that exists already; all others are left as users set
# them (kubelet_node_status.go, updateDefaultLabels).
RECONCILED_LABELS = (
    HOSTNAME,
    ZONE,
    REGION,
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    INSTANCE_TYPE,
    "beta.kubernetes.io/instance-type",
    OS,
    ARCH,
    BETA_OS,
    BETA_ARCH,
)

# (type, status, reason, message); Ready must be the last one.
CONDITIONS = (
    (
        "MemoryPressure",
        "False",
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    (
        "PIDPressure",
        "False",
        "KubeletHasSufficientPID",
        "kubelet has sufficient PID available",
    ),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def new_node(spec: NodeSpec, now: float) -> dict[str, Any]:
    """Return the Node to create."""
    node_spec = {
        "podCIDR": spec.pod_cidr,
        "podCIDRs": [spec.pod_cidr] if spec.pod_cidr else [],
        "providerID": spec.provider_id,
        "unschedulable": spec.unschedulable,
        "taints": [dict(taint) for taint in spec.taints],
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": spec.name,
            "labels": dict(spec.labels),
            "annotations": {**spec.annotations, ATTACH_DETACH: "true"},
        },
        "spec": {key: value for key, value in node_spec.items() if value},
        "status": node_status(spec, None, now),
    }


def status_patch(spec: NodeSpec, existing: Node, now: float) -> dict[str, Any]:
    """Return the strategic merge patch of `nodes/status` that makes an existing Node this one's.

    Labels of users survive; taints, cordon and everything else in the spec are theirs.
    """
    labels = {
        key: spec.labels[key]
        for key in RECONCILED_LABELS
        if key in spec.labels and existing.metadata.labels.get(key) != spec.labels[key]
    }
    status = node_status(spec, existing, now)
    status["addresses"] = [*status["addresses"], {"$patch": "replace"}]
    metadata: dict[str, Any] = {}
    if labels:
        metadata["labels"] = labels
    annotations: dict[str, str | None] = {ATTACH_DETACH: "true"}
    if spec.layout is not None:
        annotations[LAYOUT_ANNOTATION] = spec.annotations[LAYOUT_ANNOTATION]
    elif LAYOUT_ANNOTATION in existing.metadata.annotations:
        annotations |= dict.fromkeys((LAYOUT_ANNOTATION, ALLOCATIONS_ANNOTATION))
    if wrong := {
        key: value
        for key, value in annotations.items()
        if existing.metadata.annotations.get(key) != value
    }:
        metadata["annotations"] = wrong
    return {**({"metadata": metadata} if metadata else {}), "status": status}


def node_status(spec: NodeSpec, existing: Node | None, now: float) -> dict[str, Any]:
    """Return the status of a node that is well."""
    addresses = [{"type": "Hostname", "address": spec.labels.get(HOSTNAME, spec.name)}]
    if spec.internal_ip:
        addresses.insert(0, {"type": "InternalIP", "address": spec.internal_ip})
    return {
        "capacity": dict(spec.capacity),
        "allocatable": dict(spec.allocatable),
        "conditions": conditions(existing, now),
        "addresses": addresses,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
        "nodeInfo": node_info(spec),
        "images": [dict(image) for image in spec.images],
    }


def conditions(existing: Node | None, now: float) -> list[dict[str, Any]]:
    """Return the kubelet's conditions; those that stay as they are keep their transition time."""
    entries = []
    for type_, status, reason, message in CONDITIONS:
        shown = existing.condition(type_) if existing is not None else None
        is_same = shown is not None and shown.status == status
        since = shown.last_transition_time if shown is not None and is_same else rfc3339(now)
        entries.append(
            {
                "type": type_,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": rfc3339(now),
                "lastTransitionTime": since,
            }
        )
    return entries


def node_info(spec: NodeSpec) -> dict[str, Any]:
    """Return what the machine says about itself; ids are made of the name, and stay the same."""
    info = {
        "architecture": spec.labels.get(ARCH, "amd64"),
        "bootID": _uuid(spec.name, "boot"),
        "containerRuntimeVersion": "containerd://2.0.0",
        "kernelVersion": "6.12.0",
        "kubeProxyVersion": "",
        "kubeletVersion": "v1.36.2",
        "machineID": _uuid(spec.name, "machine").replace("-", ""),
        "operatingSystem": "linux",
        "osImage": "kubeberth simulated node",
        "systemUUID": _uuid(spec.name, "system"),
    }
    return {**info, **spec.node_info}


def _uuid(*parts: str) -> str:
    return str(UUID(bytes=sha256("/".join(parts).encode()).digest()[:16], version=4))


def new_lease(node_name: str, node_uid: str, now: float) -> dict[str, Any]:
    """Return the lease to create; it goes with its Node.

    Parameters
    ----------
    node_uid
        Empty while there is no Node.
    """
    owner = {"apiVersion": "v1", "kind": "Node", "name": node_name, "uid": node_uid}
    metadata: dict[str, Any] = {"name": node_name, "namespace": LEASE_NAMESPACE}
    if node_uid:
        metadata["ownerReferences"] = [owner]
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
        "spec": {
            "holderIdentity": node_name,
            "leaseDurationSeconds": LEASE_DURATION_S,
            "renewTime": rfc3339_micro(now),
        },
    }


def renewed(lease: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Return a lease with a new renew time."""
    return {**lease, "spec": {**lease["spec"], "renewTime": rfc3339_micro(now)}}
