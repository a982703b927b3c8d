"""Builders of typed objects: a case in three lines."""

from __future__ import annotations

from typing import Any

import msgspec

from kubeberth.api.core import Namespace, Node
from kubeberth.api.workloads import DaemonSet, Deployment, ReplicaSet, StatefulSet
from kubeberth.clock import rfc3339
from kubeberth.kubelet.pod import KubeletPod

# A moment in 2027 that all tests start from.
NOW = 1_800_000_000.0


def condition(
    type_: str, status: str = "True", since: float = NOW, **fields: Any
) -> dict[str, Any]:
    return {"type": type_, "status": status, "lastTransitionTime": rfc3339(since), **fields}


def pod(
    name: str = "web-1",
    *,
    owner: ReplicaSet | StatefulSet | DaemonSet | None = None,
    phase: str = "Running",
    ready: bool = True,
    ready_since: float = NOW - 100,
    created: float = NOW - 200,
    restarts: int = 0,
    node: str = "node-1",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    deleting: bool = False,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **metadata: Any,
) -> KubeletPod:
    meta: dict[str, Any] = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": rfc3339(created),
        "labels": {"app": "web"} if labels is None else labels,
        "annotations": annotations or {},
        **metadata,
    }
    if owner is not None:
        kind = type(owner).__name__
        meta["ownerReferences"] = [owner_reference("apps/v1", kind, owner.metadata)]
    if deleting:
        meta |= {"deletionTimestamp": rfc3339(NOW + 30), "deletionGracePeriodSeconds": 30}
    conditions = [condition("Ready", "True" if ready else "False", ready_since)]
    document = {
        "metadata": meta,
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "nginx"}], **(spec or {})},
        "status": {
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": [{"name": "c", "restartCount": restarts}],
            **(status or {}),
        },
    }
    return msgspec.convert(document, KubeletPod)


def owner_reference(api_version: str, kind: str, meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def template(image: str = "nginx:1", labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "metadata": {"labels": labels or {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }


def replica_set(
    name: str = "web",
    replicas: int = 3,
    *,
    owner: Deployment | None = None,
    available: int = 0,
    image: str = "nginx:1",
    created: float = NOW - 500,
    annotations: dict[str, str] | None = None,
    deleting: bool = False,
    status: dict[str, Any] | None = None,
    min_ready_seconds: int = 0,
) -> ReplicaSet:
    meta: dict[str, Any] = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "resourceVersion": "5",
        "generation": 1,
        "creationTimestamp": rfc3339(created),
        "labels": {"app": "web"},
        "annotations": annotations or {},
    }
    if owner is not None:
        meta["ownerReferences"] = [owner_reference("apps/v1", "Deployment", owner.metadata)]
    if deleting:
        meta["deletionTimestamp"] = rfc3339(NOW)
    document = {
        "metadata": meta,
        "spec": {
            "replicas": replicas,
            "minReadySeconds": min_ready_seconds,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(image),
        },
        "status": {
            "replicas": replicas,
            "availableReplicas": available,
            "readyReplicas": available,
            "terminatingReplicas": 0,
            "observedGeneration": 1,
            **(status or {}),
        },
    }
    return msgspec.convert(document, ReplicaSet)


def stateful_set(
    replicas: int = 3,
    *,
    image: str = "nginx:1",
    labels: dict[str, str] | None = None,
    policy: str = "OrderedReady",
    strategy: dict[str, Any] | None = None,
    claims: tuple[str, ...] = (),
    deleting: bool = False,
    annotations: dict[str, str] | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> StatefulSet:
    meta: dict[str, Any] = {
        "name": "web",
        "namespace": "default",
        "uid": "uid-set",
        "resourceVersion": "3",
        "generation": 1,
        "annotations": annotations or {},
    }
    if deleting:
        meta["deletionTimestamp"] = rfc3339(NOW)
    document = {
        "metadata": meta,
        "spec": {
            "replicas": replicas,
            "serviceName": "web-hs",
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(image, labels),
            "podManagementPolicy": policy,
            "updateStrategy": strategy
            or {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "volumeClaimTemplates": [
                {"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"]}}
                for name in claims
            ],
            "revisionHistoryLimit": 10,
            **spec,
        },
        "status": status or {},
    }
    return msgspec.convert(document, StatefulSet)


def daemon_set(
    *,
    image: str = "nginx:1",
    strategy: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    status: dict[str, Any] | None = None,
    deleting: bool = False,
    pod: dict[str, Any] | None = None,
    **spec: Any,
) -> DaemonSet:
    """Return a daemon set; `pod` is added to the spec of its pods."""
    meta: dict[str, Any] = {
        "name": "web",
        "namespace": "default",
        "uid": "uid-daemon",
        "resourceVersion": "3",
        "generation": 1,
        "annotations": annotations or {},
    }
    if deleting:
        meta["deletionTimestamp"] = rfc3339(NOW)
    made_of = template(image)
    made_of["spec"] |= pod or {}
    document = {
        "metadata": meta,
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": made_of,
            "updateStrategy": strategy
            or {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
            "revisionHistoryLimit": 10,
            **spec,
        },
        "status": status or {},
    }
    return msgspec.convert(document, DaemonSet)


def deployment(
    replicas: int = 3,
    *,
    image: str = "nginx:1",
    surge: int | str = "25%",
    unavailable: int | str = "25%",
    strategy: str = "RollingUpdate",
    status: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> Deployment:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    document = {
        "metadata": {
            "name": "web",
            "namespace": "default",
            "uid": "uid-deployment",
            "resourceVersion": "3",
            "generation": 1,
            "annotations": annotations or {},
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(image),
            "strategy": {"type": strategy, "rollingUpdate": rolling},
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
            **spec,
        },
        "status": status or {},
    }
    return msgspec.convert(document, Deployment)


def node(
    name: str = "node-1",
    *,
    ready: str = "True",
    taints: list[dict[str, str]] | None = None,
    labels: dict[str, str] | None = None,
    conditions: list[dict[str, Any]] | None = None,
    **spec: Any,
) -> Node:
    document = {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": "9",
            "creationTimestamp": rfc3339(NOW - 1000),
            "labels": labels or {},
        },
        "spec": {"taints": taints or [], **spec},
        "status": {
            "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "conditions": [condition("Ready", ready), *(conditions or [])],
        },
    }
    return msgspec.convert(document, Node)


def namespace(name: str = "team", *, deleting: bool = False) -> Namespace:
    meta: dict[str, Any] = {"name": name, "uid": f"uid-{name}", "resourceVersion": "2"}
    if deleting:
        meta["deletionTimestamp"] = rfc3339(NOW)
    return msgspec.convert({"metadata": meta, "spec": {"finalizers": ["kubernetes"]}}, Namespace)
