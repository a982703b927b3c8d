"""What every cluster starts with: namespaces, priority classes, and the server's own service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
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
from kubeberth.apiserver.auth.reconciliation import (
    AUTOUPDATE,
    is_of_another_role,
    is_protected,
    reconciled,
)
from kubeberth.apiserver.managed_fields.tracking import endpoint_of, track_update
from kubeberth.apiserver.options import DeleteOptions
from kubeberth.apiserver.registry import SELF, Registry, Target
from kubeberth.errors import AlreadyExistsError, ApiError

logger = logging.getLogger(__name__)

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
    """Create what is missing, and complete roles that an older version has made."""
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
    access = list(access_objects())
    # At once, so that they share a commit; what is in a namespace, once that is there.
    await asyncio.gather(
        *(ensure(registry, *made) for made in (*namespaces, *classes)),
        *(_ensure_access(registry, *made) for made in access if not _namespace_of(made[1])),
    )
    await asyncio.gather(
        *(_ensure_access(registry, *made) for made in access if _namespace_of(made[1]))
    )
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
        "annotations": {AUTOUPDATE: "true"},
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


def _namespace_of(document: dict[str, Any]) -> str:
    namespace: str = document["metadata"].get("namespace", "")
    return namespace


async def _ensure_access(registry: Registry, resource: Resource, document: dict[str, Any]) -> None:
    """Create a role or binding, or add to it what it lacks."""
    target = Target(resource, _namespace_of(document), document["metadata"]["name"])
    stored = registry.find(resource, target.namespace, target.name)
    if stored is None:
        await ensure(registry, resource, document, target.namespace)
        return
    if is_protected(stored):
        return
    try:
        if is_of_another_role(stored, document):
            await registry.delete(target, DeleteOptions(), SELF)
            await ensure(registry, resource, document, target.namespace)
        elif reconciled(stored, document) is not stored:
            await _complete(registry, target, document)
    except ApiError as error:
        # Whoever has set up who refuses it must still be able to start the server.
        logger.warning("cannot complete %s %s: %s", resource.plural, target.name, error)


async def _complete(registry: Registry, target: Target, document: dict[str, Any]) -> None:
    def change(stored: dict[str, Any]) -> dict[str, Any]:
        new = reconciled(stored, document)
        # Who owns what is told by what is stored.
        owned = {k: v for k, v in new["metadata"].items() if k != "managedFields"}
        new = {**new, "metadata": owned}
        track_update(endpoint_of(target.resource), stored, new, MANAGER, registry.stamp())
        return new

    logger.info("completing %s %s", target.resource.plural, target.name)
    await registry.update(target, change, SELF)


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
