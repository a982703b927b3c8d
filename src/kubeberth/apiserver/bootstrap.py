"""What every cluster starts with: namespaces, priority classes, and the server's own service."""

from __future__ import annotations

import asyncio
from typing import Any

from kubeberth.api import defaults
from kubeberth.api.priority import SYSTEM_PRIORITIES
from kubeberth.api.scheme import NAMESPACES, PRIORITY_CLASSES, SERVICES, Resource
from kubeberth.apiserver.auth.authn import AUTHENTICATED, MASTERS, User
from kubeberth.apiserver.managed_fields.tracking import endpoint_of, track_update
from kubeberth.apiserver.registry import Caller, Registry, Target
from kubeberth.errors import AlreadyExistsError

SELF = Caller(User("system:apiserver", frozenset((MASTERS, AUTHENTICATED))))
MANAGER = "kube-apiserver"
NAMES = ("default", "kube-system", "kube-public", "kube-node-lease")
DESCRIPTIONS = {
    "system-node-critical": (
        "Used for system critical pods that must not be moved from their current node."
    ),
    "system-cluster-critical": (
        "Used for system critical pods that must run in the cluster, but can be moved to another "
        "node if necessary."
    ),
}


async def make_bootstrap_objects(registry: Registry, cluster_ip: str, port: int) -> None:
    """Create what is missing."""
    namespaces = [(NAMESPACES, {"metadata": {"name": name}}) for name in NAMES]
    classes = [
        (
            PRIORITY_CLASSES,
            {"metadata": {"name": name}, "value": value, "description": DESCRIPTIONS[name]},
        )
        for name, value in SYSTEM_PRIORITIES.items()
    ]
    # At once, so that they share a commit.
    await asyncio.gather(
        *(_ensure(registry, resource, document) for resource, document in namespaces + classes)
    )
    await _ensure(registry, SERVICES, kubernetes_service(cluster_ip, port), "default")


def kubernetes_service(cluster_ip: str, port: int) -> dict[str, Any]:
    """Return the service under which pods find the server."""
    return {
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
        },
    }


async def _ensure(
    registry: Registry, resource: Resource, document: dict[str, Any], namespace: str = ""
) -> None:
    target = Target(resource, namespace, document["metadata"]["name"])
    if registry.store.get(target.key) is not None:
        return
    document = {"kind": resource.kind, "apiVersion": resource.api_version, **document}
    defaults.apply_defaults(resource, document)
    track_update(endpoint_of(resource), {}, document, MANAGER, registry.stamp())
    try:
        await registry.create(target, document, SELF)
    except AlreadyExistsError:
        return  # another replica was faster
