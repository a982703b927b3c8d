"""What a node may do: look after itself, and read what the pods bound to it need.

Allow or no opinion, so that RBAC may give a node more.
Matches `plugin/pkg/auth/authorizer/node` of Kubernetes 1.36, where AuthorizeNodeWithSelectors is
always on: lists and watches of pods and nodes must name the node in their field selector.
"""

from __future__ import annotations

from collections.abc import Callable

from kubeberth.api.selectors import SelectorError, parse_field_selector
from kubeberth.apiserver.auth.authn import User
from kubeberth.apiserver.auth.bootstrap import NODE
from kubeberth.apiserver.auth.node_graph import NodeGraph, Vertex
from kubeberth.apiserver.auth.node_identity import node_of
from kubeberth.apiserver.auth.rbac import ALLOWED, NO_OPINION, Decision
from kubeberth.apiserver.route import RequestInfo

LEASE_NAMESPACE = "kube-node-lease"
_OWN_VERBS = ("get", "create", "update", "patch", "delete")
_READ_VERBS = ("get", "list", "watch")
_MANY_VERBS = ("list", "watch", "deletecollection")


class NodeAuthorizer:
    """Decides about the requests of nodes."""

    def __init__(self, graph: NodeGraph) -> None:
        self._graph = graph
        self._rules: dict[str, Callable[[str, RequestInfo], Decision]] = {
            "configmaps": self._read_one,
            "csinodes.storage.k8s.io": _csi_node,
            "leases.coordination.k8s.io": _lease,
            "nodes": _node,
            "persistentvolumeclaims": self._claim,
            "persistentvolumes": self._get,
            "pods": self._pod,
            "resourceclaims.resource.k8s.io": self._get,
            "resourceslices.resource.k8s.io": self._slice,
            "secrets": self._read_one,
            "serviceaccounts": self._account,
            "volumeattachments.storage.k8s.io": self._get,
        }

    def decide(self, user: User, info: RequestInfo) -> Decision:
        """Return whether a node may, or why not; of others nothing."""
        node = node_of(user)
        if node is None:
            return NO_OPINION
        if not node:
            return Decision(False, f'unknown node for user "{user.name}"')
        if info.is_resource:
            resource = f"{info.plural}.{info.group}" if info.group else info.plural
            rule = self._rules.get(resource)
            if rule is not None:
                return rule(node, info)
        return ALLOWED if any(rule.allows(info) for rule in NODE) else NO_OPINION

    def _related(self, node: str, info: RequestInfo) -> Decision:
        if not info.name:
            return Decision(False, "No Object name found")
        resource = f"{info.plural}.{info.group}" if info.group else info.plural
        if self._graph.reaches(node, Vertex(resource, info.namespace, info.name)):
            return ALLOWED
        return Decision(False, f"no relationship found between node '{node}' and this object")

    def _get(self, node: str, info: RequestInfo) -> Decision:
        if info.verb != "get":
            return Decision(False, "can only get individual resources of this type")
        if info.subresource:
            return Decision(False, "cannot get subresource")
        return self._related(node, info)

    def _read_one(self, node: str, info: RequestInfo) -> Decision:
        if info.verb not in _READ_VERBS:
            return Decision(False, "can only read resources of this type")
        if info.subresource:
            return Decision(False, "cannot read subresource")
        if not info.namespace:
            return Decision(False, "can only read namespaced object of this type")
        return self._related(node, info)

    def _claim(self, node: str, info: RequestInfo) -> Decision:
        if info.subresource != "status":
            return self._get(node, info)
        if info.verb not in ("update", "patch"):
            return Decision(False, "can only get/update/patch this type")
        return self._related(node, info)

    def _account(self, node: str, info: RequestInfo) -> Decision:
        if info.verb == "get" and not info.subresource:
            return self._related(node, info)
        if info.verb != "create" or not info.name:
            return Decision(False, "can only create tokens for individual service accounts")
        if info.subresource != "token":
            return Decision(False, "can only create token subresource of serviceaccount")
        return self._related(node, info)

    def _pod(self, node: str, info: RequestInfo) -> Decision:
        verb = info.verb
        if info.subresource:
            allowed = _POD_PARTS.get(info.subresource, ())
            return ALLOWED if verb in allowed else NO_OPINION
        if verb == "get":
            return self._related(node, info)
        if verb in ("create", "delete"):
            return ALLOWED
        if verb not in ("list", "watch"):
            return NO_OPINION
        if _selects(info, node):
            return ALLOWED
        if info.name:
            return self._related(node, info)
        return Decision(False, "can only list/watch pods with spec.nodeName field selector")

    def _slice(self, node: str, info: RequestInfo) -> Decision:
        verb = info.verb
        if info.subresource:
            return Decision(False, "cannot authorize ResourceSlice subresources")
        if verb == "create":
            return ALLOWED
        if verb in _OWN_VERBS:
            return self._related(node, info)
        if verb not in _MANY_VERBS:
            return Decision(
                False,
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, "
                "create, update, patch, delete, deletecollection",
            )
        if _selects(info, node):
            return ALLOWED
        return Decision(
            False,
            "can only list/watch/deletecollection resourceslices with nodeName field selector",
        )


# What a kubelet does with parts of pods; NodeRestriction sees to it that they are its own.
_POD_PARTS = {"status": ("update", "patch"), "eviction": ("create",)}


def _node(node: str, info: RequestInfo) -> Decision:
    verb = info.verb
    if info.subresource == "status":
        return ALLOWED if verb in ("update", "patch") else NO_OPINION
    if info.subresource:
        return NO_OPINION
    if verb in ("create", "update", "patch"):
        return ALLOWED
    if verb not in _READ_VERBS:
        return NO_OPINION
    if info.name == node:
        return ALLOWED
    what = f"'{info.name}'" if info.name else "all nodes"
    return Decision(False, f"node '{node}' cannot read {what}, only its own Node object")


def _lease(node: str, info: RequestInfo) -> Decision:
    if info.verb not in _OWN_VERBS:
        return Decision(False, "can only get, create, update, patch, or delete a node lease")
    if info.namespace != LEASE_NAMESPACE:
        return Decision(
            False, f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
        )
    if info.verb != "create" and info.name != node:
        return Decision(
            False, "can only access node lease with the same name as the requesting node"
        )
    return ALLOWED


def _csi_node(node: str, info: RequestInfo) -> Decision:
    if info.verb not in _OWN_VERBS:
        return Decision(False, "can only get, create, update, patch, or delete a CSINode")
    if info.subresource:
        return Decision(False, "cannot authorize CSINode subresources")
    if info.verb != "create" and info.name != node:
        return Decision(False, "can only access CSINode with the same name as the requesting node")
    return ALLOWED


def _selects(info: RequestInfo, node: str) -> bool:
    """Return whether a request is for the objects of one node alone."""
    try:
        selector = parse_field_selector(info.query.get("fieldSelector"))
    except SelectorError:
        return False
    return any(term == ("spec.nodeName", "=", node) for term in selector.terms)
