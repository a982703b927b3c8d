"""Manifests in one line."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"


def node(name: str, *, cpu: str = "4", zone: str = "", **spec: Any) -> Document:
    labels = {HOST: name, **({ZONE: zone} if zone else {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"capacity": {"cpu": cpu, "memory": "8Gi", "pods": "110"}},
    }


def pod(name: str, *, cpu: str = "1", meta: Document | None = None, **spec: Any) -> Document:
    container = {"name": "main", "image": "nginx", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}, **(meta or {})},
        "spec": {"containers": [container], **spec},
    }


def priority_class(name: str, value: int, **fields: Any) -> Document:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        **fields,
    }


def any_object(kind: str, name: str, api_version: str = "v1", **fields: Any) -> Document:
    """Return an object of any kind."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}
