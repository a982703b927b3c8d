"""What every cluster starts with: namespaces, priority classes, and the server's own service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import chain
from typing import Any

from kubeberth.api import defaults
from kubeberth.api.priority import SYSTEM_PRIORITIES
from kubeberth.api.scheme import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    NAMESPACES,
    PRIORITY_CLASSES,
    SERVICES,
    Resource,
)
from kubeberth.apiserver.auth.bootstrap import AGGREGATED_ROLES, BINDINGS
from kubeberth.apiserver.auth.rbac import PolicyRule, RoleBinding
from kubeberth.apiserver.managed_fields.tracking import endpoint_of, track_update
from kubeberth.apiserver.registry import SELF, Registry, Target
from kubeberth.errors import AlreadyExistsError

RBAC = CLUSTER_ROLES.group
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
    namespaces: list[tuple[Resource, dict[str, Any]]] = [
        (NAMESPACES, {"metadata": {"name": name}}) for name in NAMES
    ]
    classes: list[tuple[Resource, dict[str, Any]]] = [
        (
            PRIORITY_CLASSES,
            {"metadata": {"name": name}, "value": value, "description": DESCRIPTIONS[name]},
        )
        for name, value in SYSTEM_PRIORITIES.items()
    ]
    # At once, so that they share a commit.
    await asyncio.gather(
        *(
            ensure(registry, resource, document)
            for resource, document in chain(namespaces, classes, access_objects())
        )
    )
    await ensure(registry, SERVICES, kubernetes_service(cluster_ip, port), "default")


def access_objects() -> Iterator[tuple[Resource, dict[str, Any]]]:
    """Yield the roles and bindings that every cluster starts with."""
    for binding in BINDINGS:
        rules = [_rule_document(rule) for rule in binding.rules]
        subjects = [_subject(kind, name) for kind, name in _named(binding)]
        role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": binding.role}
        yield CLUSTER_ROLES, {"metadata": _default_metadata(binding.role), "rules": rules}
        yield (
            CLUSTER_ROLE_BINDINGS,
            {
                "metadata": _default_metadata(binding.role),
                "roleRef": role,
                "subjects": subjects,
            },
        )
    for name in AGGREGATED_ROLES:
        selector = {"matchLabels": {f"{RBAC}/aggregate-to-{name}": "true"}}
        yield (
            CLUSTER_ROLES,
            {
                "metadata": _default_metadata(name),
                "rules": [],
                "aggregationRule": {"clusterRoleSelectors": [selector]},
            },
        )


def _default_metadata(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }


def _named(binding: RoleBinding) -> Iterator[tuple[str, str]]:
    yield from (("Group", name) for name in sorted(binding.groups))
    yield from (("User", name) for name in sorted(binding.users))


def _subject(kind: str, name: str) -> dict[str, str]:
    return {"kind": kind, "apiGroup": RBAC, "name": name}


def _rule_document(rule: PolicyRule) -> dict[str, Any]:
    document = {
        "verbs": sorted(rule.verbs),
        "apiGroups": sorted(rule.api_groups),
        "resources": sorted(rule.resources),
        "resourceNames": sorted(rule.resource_names),
        "nonResourceURLs": sorted(rule.non_resource_urls),
    }
    return {field: values for field, values in document.items() if values}


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


async def ensure(
    registry: Registry, resource: Resource, document: dict[str, Any], namespace: str = ""
) -> None:
    """Create an object for the server itself, unless it is there."""
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
