"""The pods that the API server is measured with: as a Deployment's template makes them."""

from __future__ import annotations

from typing import Any

import msgspec

# What a stored pod of `padded_pod` weighs, about.
PADDED_BYTES = 4096
_PADDING = "x" * 2300


def pod(name: str) -> dict[str, Any]:
    """Return a pod with probes, ports, variables and resources."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5}
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "bench",
        "uid": "6f2a8c8e-0f4a-4d4f-9f0e-0d7f3c1b2a90",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    container = {
        "name": "main",
        "image": "registry.k8s.io/pause:3.10",
        "ports": [{"containerPort": 8080, "name": "http"}],
        "env": [
            {"name": "MODE", "value": "bench"},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "resources": {
            "requests": {"cpu": "100m", "memory": "500Mi"},
            "limits": {"memory": "1Gi"},
        },
        "readinessProbe": probe,
        "livenessProbe": probe,
    }
    labels = {"app": "bench", "pod-template-hash": "6b8f9d7c5"}
    metadata = {"name": name, "labels": labels, "ownerReferences": [owner]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], "nodeSelector": {"zone": "one"}},
    }


def small_pod(name: str) -> bytes:
    """Return the body of a pod."""
    return msgspec.json.encode(pod(name))


def padded_pod(name: str) -> bytes:
    """Return the body of a pod of `PADDED_BYTES`, as annotations make them in real clusters."""
    document = pod(name)
    document["metadata"]["annotations"] = {"example.com/padding": _PADDING}
    return msgspec.json.encode(document)
