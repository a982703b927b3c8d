"""What every cluster starts with: namespaces, priority classes, and the server's own service."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from itertools import chain
from typing import Any

from kubeberth.api import defaults, scheme
from kubeberth.api.priority import SYSTEM_PRIORITIES
from kubeberth.api.scheme import (
    NAMESPACES,
    PRIORITY_CLASSES,
    SERVICES,
    Resource,
)
from kubeberth.apiserver.auth import bootstrap as default_roles
from kubeberth.apiserver.auth.default_roles import DefaultRole
from kubeberth.apiserver.auth.rbac import PolicyRule
from kubeberth.apiserver.managed_fields.tracking import endpoint_of, track_update
from kubeberth.apiserver.registry import SELF, Registry, Target
from kubeberth.errors import AlreadyExistsError

RBAC = scheme.CLUSTER_ROLES.group
SYSTEM = "kube-system"
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
    everywhere: list[Coroutine[Any, Any, None]] = []
    elsewhere: list[Coroutine[Any, Any, None]] = []
    for resource, document in chain(namespaces, classes, access_objects()):
        namespace = document["metadata"].get("namespace", "")
        which = elsewhere if namespace else everywhere
        which.append(ensure(registry, resource, document, namespace))
    # At once, so that they share a commit; what is in a namespace, once that is there.
    await asyncio.gather(*everywhere)
    await asyncio.gather(*elsewhere)
    await ensure(registry, SERVICES, kubernetes_service(cluster_ip, port), "default")


def access_objects() -> Iterator[tuple[Resource, dict[str, Any]]]:
    """Yield the roles and bindings that every cluster starts with."""
    for role in default_roles.ROLES:
        kind, bindings = (
            (scheme.ROLES, scheme.ROLE_BINDINGS)
            if role.namespace
            else (scheme.CLUSTER_ROLES, scheme.CLUSTER_ROLE_BINDINGS)
        )
        document = {"metadata": _metadata(role, labels=_labels(role)), "rules": _rules(role)}
        if role.gathers:
            selector = {"matchLabels": {f"{RBAC}/aggregate-to-{role.gathers}": "true"}}
            document["aggregationRule"] = {"clusterRoleSelectors": [selector]}
        yield kind, document
        if role.is_bound:
            reference = {"apiGroup": RBAC, "kind": kind.kind, "name": role.name}
            yield (
                bindings,
                {
                    "metadata": _metadata(role, labels={}),
                    "roleRef": reference,
                    "subjects": list(_subjects(role)),
                },
            )


def _labels(role: DefaultRole) -> dict[str, str]:
    return {f"{RBAC}/aggregate-to-{name}": "true" for name in role.gathered_by}


def _metadata(role: DefaultRole, *, labels: dict[str, str]) -> dict[str, Any]:
    metadata = {
        "name": role.name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults", **labels},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }
    return {**metadata, "namespace": role.namespace} if role.namespace else metadata


def _rules(role: DefaultRole) -> list[dict[str, Any]]:
    """Return the rules of a role, with those that it gathers for everybody to see."""
    rules = [_rule_document(rule) for rule in role.rules]
    for other in default_roles.ROLES:
        if role.gathers in other.gathered_by:
            rules += _rules(other)
    return rules


def _subjects(role: DefaultRole) -> Iterator[dict[str, str]]:
    for kind, names in (("Group", role.groups), ("User", role.users)):
        yield from ({"kind": kind, "apiGroup": RBAC, "name": name} for name in sorted(names))
    for name in role.accounts:
        yield {"kind": "ServiceAccount", "name": name, "namespace": SYSTEM}


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
