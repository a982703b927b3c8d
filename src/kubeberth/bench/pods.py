"""The pods that the API server is measured with: as a Deployment's template makes them."""

from __future__ import annotations

from typing import Any

import msgspec

# What a stored pod of `padded_pod` weighs, about.
PADDED_BYTES = 4096
OWNER = "bench"
_UID = "6f2a8c8e-0f4a-4d4f-9f0e-0d7f3c1b2a90"
_PADDING = "x" * 2300


def pod(name: str, owner_uid: str = _UID) -> dict[str, Any]:
    """Return a pod with probes, ports, variables and resources.

    Parameters
    ----------
    owner_uid
        Of the config map `OWNER` beside it: where garbage is collected, an owner has to be there,
        and a workload would do something about its pods.
    """
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5}
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": OWNER,
        "uid": owner_uid,
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


def small_pod(name: str, owner_uid: str) -> bytes:
    """Return the body of a pod."""
    return msgspec.json.encode(pod(name, owner_uid))


def padded_pod(name: str, owner_uid: str) -> bytes:
    """Return the body of a pod of `PADDED_BYTES`, as annotations make them in real clusters."""
    document = pod(name, owner_uid)
    document["metadata"]["annotations"] = {"example.com/padding": _PADDING}
    return msgspec.json.encode(document)
