"""What a node may do with pods: mirror its static ones, tell how its own are, and let them go.

Matches `plugin/pkg/admission/noderestriction` and `HasAPIObjectReference` in `pkg/api/pod` of
Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.pod_references import MIRROR, PodVolume, ReferringPod, referring_pod
from kubeberth.api.scheme import NODES, PODS
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission.chain import Attributes, Document, Reader
from kubeberth.errors import ApiError, NotFoundError

# Written by the server itself after it has asked about the body that was posted.
_OWN_UPDATES = ("bindings", "eviction")


class NodePods:
    """Refuses what a node must not do with pods."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def check(self, node: str, attributes: Attributes) -> None:
        """Let a write pass, or raise."""
        sub, operation = attributes.subresource, attributes.operation
        if sub in _OWN_UPDATES and operation == "UPDATE":
            return
        if sub == "eviction":
            self._check_eviction(node, attributes)
        elif sub == "status":
            _check_status(node, attributes)
        elif sub:
            raise attributes.forbid(
                f"unexpected pod subresource \"{sub}\", only 'status' and 'eviction' are allowed"
            )
        elif operation == "CREATE":
            self._check_new(node, attributes)
        elif operation == "DELETE":
            if _node_of(attributes.old) != node:
                raise attributes.forbid(
                    f'node "{node}" can only delete pods with spec.nodeName set to itself'
                )
        else:
            raise attributes.forbid(
                f'unexpected operation "{operation}", node "{node}" can only create and delete '
                "mirror pods"
            )

    def _check_new(self, node: str, attributes: Attributes) -> None:
        pod = attributes.document or {}
        if MIRROR not in (pod["metadata"].get("annotations") or {}):
            raise attributes.forbid(
                f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror '
                "pods"
            )
        if _node_of(pod) != node:
            raise attributes.forbid(
                f'node "{node}" can only create pods with spec.nodeName set to itself'
            )
        self._check_owner(node, attributes, pod["metadata"].get("ownerReferences") or [])
        found = next(references_of(referring_pod(pod)), "")
        if found:
            raise attributes.forbid(f'node "{node}" can not create pods that reference {found}')

    def _check_owner(self, node: str, attributes: Attributes, owners: list[Document]) -> None:
        """Refuse a mirror pod that is not its node's, as it is now."""
        only = f'node "{node}" can only create pods with'
        if len(owners) > 1:
            raise attributes.forbid(f"{only} a single owner reference set to itself")
        owner = owners[0] if owners else {}
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
            raise attributes.forbid(f"{only} an owner reference set to itself")
        if not owner.get("controller"):
            raise attributes.forbid(f"{only} a controller owner reference set to itself")
        if owner.get("blockOwnerDeletion"):
            raise attributes.forbid(
                f'node "{node}" must not set blockOwnerDeletion on an owner reference'
            )
        found = self._reader.find(NODES, "", node)
        if found is None:
            raise refusals.not_found(NODES, node)
        told, uid = owner.get("uid", ""), found["metadata"]["uid"]
        if told != uid:
            raise attributes.forbid(f"node {node} UID mismatch: expected {told} got {uid}")

    def _check_eviction(self, node: str, attributes: Attributes) -> None:
        if not attributes.name:
            raise attributes.forbid("could not determine pod from request data")
        pod = self._reader.find(PODS, attributes.namespace, attributes.name)
        if pod is None:
            raise missing_pod(attributes.name)
        if _node_of(pod) != node:
            raise attributes.forbid(
                f"node {node} can only evict pods with spec.nodeName set to itself"
            )


def missing_pod(name: str) -> ApiError:
    """Return the answer to a question about a pod that is not there, as upstream's cache has it."""
    return NotFoundError(f'pod "{name}" not found', details={"name": name, "kind": "pod"})


def _node_of(pod: Document | None) -> str:
    name: str = ((pod or {}).get("spec") or {}).get("nodeName", "")
    return name


def _check_status(node: str, attributes: Attributes) -> None:
    new, old = attributes.document, attributes.old
    if new is None or old is None:
        raise attributes.forbid(f'unexpected operation "{attributes.operation}"')
    if _node_of(old) != node:
        raise attributes.forbid(
            f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
        )
    if (new["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {}):
        raise attributes.forbid(f'node "{node}" cannot update labels through pod status')
    status, before = new.get("status") or {}, old.get("status") or {}
    # What these name, the node may read.
    for field, text in (
        ("resourceClaimStatuses", "resource claim statues"),  # spelt as upstream
        ("extendedResourceClaimStatus", "extended resource claim status"),
    ):
        if (status.get(field) or None) != (before.get(field) or None):
            raise attributes.forbid(f'node "{node}" cannot update {text}')


def references_of(pod: ReferringPod) -> Iterator[str]:
    """Yield what a pod refers to, in the words of the refusal, the most important first."""
    if pod.spec.service_account_name:
        yield "serviceaccounts"
    if any(True for _ in pod.secrets()):
        yield "secrets"
    if any(True for _ in pod.config_maps()):
        yield "configmaps"
    if pod.spec.resource_claims:
        yield "resourceclaims"
    for volume in pod.spec.volumes or ():
        yield from _references_of_volume(volume)


def _references_of_volume(volume: PodVolume) -> Iterator[str]:
    if volume.csi is not None:
        yield "csidrivers (via CSI volumes)"
    if volume.glusterfs is not None:
        yield "endpoints (via glusterFS volumes)"
    if volume.persistent_volume_claim is not None:
        yield "persistentvolumeclaims"
    if volume.ephemeral is not None:
        yield "persistentvolumeclaims (via ephemeral volumes)"
    for source in volume.sources:
        if source.service_account_token is not None:
            yield "serviceaccounts (via projected volumes)"
        if source.cluster_trust_bundle is not None:
            yield "clustertrustbundles"
        if source.pod_certificate is not None:
            yield "podcertificates"
