"""What the tests of every library make."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def pod(name: str, **labels: str) -> Document:
    """Return a pod of one container."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "containers": [{"name": "main", "image": "nginx"}],
            "terminationGracePeriodSeconds": 1,
        },
    }


def deployment(name: str, replicas: int) -> Document:
    """Return a Deployment whose pods have its name as label."""
    template = pod("", app=name)
    del template["apiVersion"], template["kind"], template["metadata"]["name"]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template,
        },
    }
