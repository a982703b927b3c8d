"""NodeRestriction: a node writes its own objects alone, and of those not what others decide.

Together with the node authorizer this keeps a node that somebody else has taken over from drawing
workloads to itself: it cannot label itself with what administrators go by, take off its taints,
speak for another node, or make pods that hand it secrets.
Matches `plugin/pkg/admission/noderestriction` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from kubeberth.api.certificates import (
    KUBELET_CLIENT,
    KUBELET_SERVING,
    NODE_PREFIX,
    RequestError,
    parse_request,
)
from kubeberth.api.node_labels import closed_to_kubelet
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin, Reader
from kubeberth.apiserver.admission.node_pods import NodePods
from kubeberth.apiserver.admission.node_tokens import NodeTokens
from kubeberth.apiserver.auth.node_authorizer import LEASE_NAMESPACE
from kubeberth.apiserver.auth.node_identity import node_of
from kubeberth.apiserver.auth.rbac import Authorizer

NAME = "NodeRestriction"
# Of a claim's status, what the kubelet tells when it has resized a volume.
_CLAIM_FIELDS = ("allocatedResourceStatuses", "allocatedResources", "capacity", "conditions")
Check = Callable[[str, Attributes], None]


class NodeRestriction(Plugin):
    """Looks at what nodes write; everybody else passes."""

    sees_bodies: ClassVar[bool] = True

    def __init__(self, reader: Reader, authorizer: Authorizer) -> None:
        self._checks: dict[str, Check] = {
            "certificatesigningrequests.certificates.k8s.io": _check_certificate,
            "csinodes.storage.k8s.io": _check_csi_node,
            "leases.coordination.k8s.io": _check_lease,
            "nodes": _check_node,
            "persistentvolumeclaims": _check_claim,
            "pods": NodePods(reader).check,
            "resourceslices.resource.k8s.io": _check_slice,
            "serviceaccounts": NodeTokens(reader, authorizer).check,
        }

    async def admit(self, attributes: Attributes) -> None:
        """Refuse what a node must not write."""
        node = node_of(attributes.user)
        if node is None or attributes.operation == "CONNECT":
            return
        if not node:
            raise attributes.forbid(f'could not determine node from user "{attributes.user.name}"')
        check = self._checks.get(attributes.resource.group_resource)
        if check is not None:
            check(node, attributes)


def _check_node(node: str, attributes: Attributes) -> None:
    name = attributes.name
    if name != node:
        raise attributes.forbid(f'node "{node}" is not allowed to modify node "{name}"')
    new, old = attributes.document, attributes.old
    if new is None:
        return
    if old is None:
        _check_new_node(node, attributes, new)
    else:
        _check_changed_node(node, attributes, new, old)


def _check_new_node(node: str, attributes: Attributes, new: Document) -> None:
    if (new.get("spec") or {}).get("configSource") is not None:
        raise attributes.forbid(
            f'node "{node}" is not allowed to create pods with a non-nil configSource'
        )
    if closed := closed_to_kubelet(_labels(new)):
        raise attributes.forbid(
            f'node "{node}" is not allowed to set the following labels: {", ".join(closed)}'
        )


def _check_changed_node(node: str, attributes: Attributes, new: Document, old: Document) -> None:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    source = spec.get("configSource")
    if source is not None and source != before.get("configSource"):
        raise attributes.forbid(
            f'node "{node}" is not allowed to update configSource to a new non-nil configSource'
        )
    if (spec.get("taints") or []) != (before.get("taints") or []):
        raise attributes.forbid(f'node "{node}" is not allowed to modify taints')
    owners, owned = (document["metadata"].get("ownerReferences") or [] for document in (new, old))
    # Else the garbage collector could be made to delete the node, to be registered anew with other
    # labels and without its taints.
    if owners != owned:
        raise attributes.forbid(f'node "{node}" is not allowed to modify ownerReferences')
    if closed := closed_to_kubelet(_labels(new), _labels(old)):
        raise attributes.forbid(f"is not allowed to modify labels: {', '.join(closed)}")


def _labels(node: Document) -> dict[str, str]:
    return node["metadata"].get("labels") or {}


def _check_lease(node: str, attributes: Attributes) -> None:
    if attributes.namespace != LEASE_NAMESPACE:
        raise attributes.forbid(
            f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
        )
    if attributes.name != node:
        raise attributes.forbid(
            "can only access node lease with the same name as the requesting node"
        )


def _check_csi_node(node: str, attributes: Attributes) -> None:
    if attributes.name != node:
        raise attributes.forbid("can only access CSINode with the same name as the requesting node")


def _check_slice(node: str, attributes: Attributes) -> None:
    if attributes.operation == "UPDATE":
        return  # its node never changes
    found = attributes.document or attributes.old or {}
    if (found.get("spec") or {}).get("nodeName") != node:
        verb = attributes.operation.lower()
        raise attributes.forbid(
            f"can only {verb} ResourceSlice with the same NodeName as the requesting node"
        )


def _check_claim(node: str, attributes: Attributes) -> None:
    if attributes.subresource != "status":
        raise attributes.forbid("may only update PVC status")
    new, old = attributes.document, attributes.old
    if new is None or old is None:
        raise attributes.forbid(f'unexpected operation "{attributes.operation}"')
    changes = [*_differences(_without_status(new), _without_status(old))]
    if changes:
        raise attributes.forbid(
            f'node "{node}" is not allowed to update fields other than status.quantity and '
            f"status.conditions: {', '.join(changes)}"
        )


def _without_status(claim: Document) -> Document:
    """Return a claim without what its node may change."""
    ignored = ("managedFields", "resourceVersion")
    metadata = {name: part for name, part in claim["metadata"].items() if name not in ignored}
    status = claim.get("status") or {}
    kept = {name: part for name, part in status.items() if name not in _CLAIM_FIELDS}
    return {**claim, "metadata": metadata, "status": kept}


def _differences(new: Any, old: Any, path: str = "") -> Iterator[str]:
    """Yield the paths at which two documents differ."""
    if isinstance(new, dict) and isinstance(old, dict):
        for name in sorted({*new, *old}):
            where = f"{path}.{name}" if path else name
            yield from _differences(new.get(name), old.get(name), where)
    elif new != old:
        yield path


def _check_certificate(node: str, attributes: Attributes) -> None:
    if attributes.operation != "CREATE" or attributes.document is None:
        return
    spec = attributes.document.get("spec") or {}
    if spec.get("signerName") not in (KUBELET_CLIENT, KUBELET_SERVING):
        return
    try:
        name = parse_request(spec.get("request") or "").common_name
    except RequestError as error:
        raise attributes.forbid(f"unable to parse csr: {error}") from error
    if name != f"{NODE_PREFIX}{node}":
        raise attributes.forbid(f"can only create a node CSR with CN={NODE_PREFIX}{node}")
