"""The identity of a StatefulSet's pods: ordinal, name, labels, and claims that stay their own.

Matches Kubernetes 1.36 (`pkg/controller/statefulset/stateful_set_utils.go`). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kubeberth.api.core import Pod
from kubeberth.api.meta import OwnerReference
from kubeberth.api.scheme import PERSISTENT_VOLUME_CLAIMS, PODS
from kubeberth.api.storage import PersistentVolumeClaim
from kubeberth.api.workloads import StatefulSet
from kubeberth.controllers.action import Action, Document, ObjectRef, PatchObject
from kubeberth.controllers.cache import ref_of
from kubeberth.controllers.ownership import to_document
from kubeberth.controllers.workloads.pod_template import pod_from_template

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"
REVISION = "controller-revision-hash"

_NAME = re.compile(r"(?P<set>.+)-(?P<ordinal>0|[1-9][0-9]{0,9})")


def name_of(owner: ObjectRef, ordinal: int) -> str:
    """Return the name of a pod."""
    return f"{owner.name}-{ordinal}"


def ordinal_of(set_name: str, pod_name: str) -> int | None:
    """Return the ordinal that a pod of the set has by its name; None when it cannot be one."""
    match = _NAME.fullmatch(pod_name)
    return int(match["ordinal"]) if match is not None and match["set"] == set_name else None


def ordinals(stateful_set: StatefulSet) -> range:
    """Return the ordinals that there shall be."""
    start = stateful_set.spec.ordinals.start
    return range(start, start + stateful_set.spec.replicas)


def revision_of(pod: Pod) -> str:
    """Return the name of the revision that a pod was made of."""
    return pod.metadata.labels.get(REVISION, "")


def new_pod(
    stateful_set: StatefulSet, owner: ObjectRef, template: Document, revision: str, ordinal: int
) -> dict[str, Any]:
    """Return the pod with that ordinal, as a revision has it."""
    pod, name = pod_from_template(owner, template), name_of(owner, ordinal)
    metadata, spec = pod["metadata"], dict(pod["spec"])
    metadata["name"] = name
    metadata["labels"] = {
        **metadata.get("labels", {}),
        POD_NAME: name,
        POD_INDEX: str(ordinal),
        REVISION: revision,
    }
    spec["hostname"] = name
    if stateful_set.spec.service_name:
        spec["subdomain"] = stateful_set.spec.service_name
    claimed = [
        {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
        for volume, claim in claims_of(stateful_set, ordinal).items()
    ]
    others = [v for v in spec.get("volumes") or () if v["name"] not in _volumes(claimed)]
    if claimed or others:
        spec["volumes"] = [*claimed, *others]
    return {**pod, "metadata": metadata, "spec": spec}


def _volumes(volumes: list[dict[str, Any]]) -> set[str]:
    return {volume["name"] for volume in volumes}


def template_name(template: Document) -> str:
    """Return the name of a claim template; an API server does not ask that it has one."""
    name: str = (template.get("metadata") or {}).get("name") or ""
    return name


def claims_of(stateful_set: StatefulSet, ordinal: int) -> dict[str, str]:
    """Return the names of a pod's claims by those of its volumes."""
    names = map(template_name, stateful_set.spec.volume_claim_templates)
    return {name: f"{name}-{stateful_set.metadata.name}-{ordinal}" for name in names}


def new_claims(
    stateful_set: StatefulSet, owner: ObjectRef, ordinal: int
) -> Iterator[dict[str, Any]]:
    """Yield a pod's claims, as they are when they are made for it."""
    selector = stateful_set.spec.selector
    names = claims_of(stateful_set, ordinal)
    for template in stateful_set.spec.volume_claim_templates:
        given = template.get("metadata") or {}
        labels = {**(given.get("labels") or {}), **(selector.match_labels if selector else {})}
        metadata = {**given, "name": names[template_name(template)], "namespace": owner.namespace}
        metadata |= {"labels": labels} if labels else {}
        kept = _keeper(stateful_set, owner, None, ordinal)
        if kept is not None:
            metadata["ownerReferences"] = [kept.owner_reference()]
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            **template,
            "metadata": metadata,
        }


def _keeper(
    stateful_set: StatefulSet, owner: ObjectRef, pod: ObjectRef | None, ordinal: int
) -> ObjectRef | None:
    """Return with whom a pod's claims are to go: the pod that is given up, the set, or nobody."""
    policy = stateful_set.spec.persistent_volume_claim_retention_policy
    if policy.when_scaled == "Delete" and ordinal not in ordinals(stateful_set):
        return pod
    return owner if policy.when_deleted == "Delete" else None


def is_stale(stateful_set: StatefulSet, claim: PersistentVolumeClaim, pod_name: str) -> bool:
    """Return whether a claim is about to go with a former pod of the name."""
    policy = stateful_set.spec.persistent_volume_claim_retention_policy
    if policy.when_scaled != "Delete":
        return False
    return any(
        _means(reference, ObjectRef(PODS, pod_name))
        for reference in claim.metadata.owner_references
    )


def keep_claim(
    stateful_set: StatefulSet,
    owner: ObjectRef,
    claim: PersistentVolumeClaim,
    pod: ObjectRef,
    ordinal: int,
) -> list[Action]:
    """Return what gives a claim the owner that its retention policy asks for.

    A claim of a former set or pod of the same name is left alone, and so is one that somebody else
    controls.
    """
    references = claim.metadata.owner_references
    ours = [ref for ref in references if _means(ref, owner) or _means(ref, pod)]
    if any(reference.uid not in (owner.uid, pod.uid) for reference in ours):
        return []
    others = [reference for reference in references if reference not in ours]
    kept = _keeper(stateful_set, owner, pod, ordinal)
    if any(reference.controller for reference in others):
        kept = None
    wanted = [kept.owner_reference()] if kept is not None else []
    if wanted == [to_document(reference) for reference in ours]:
        return []
    meta = claim.metadata
    patch = {
        "uid": meta.uid,
        "resourceVersion": meta.resource_version,
        "ownerReferences": [*map(to_document, others), *wanted] or None,
    }
    target = ref_of(PERSISTENT_VOLUME_CLAIMS, claim)
    return [PatchObject(target, {"metadata": patch}, if_present=True)]


def _means(reference: OwnerReference, target: ObjectRef) -> bool:
    return (reference.api_version, reference.kind, reference.name) == (
        target.resource.api_version,
        target.resource.kind,
        target.name,
    )


def identity_patch(stateful_set: StatefulSet, pod: Pod, ordinal: int) -> dict[str, Any]:
    """Return what a pod lacks of its labels and volumes; empty when it has all."""
    patch: dict[str, Any] = {}
    if pod.metadata.labels.get(POD_NAME) != pod.metadata.name:
        labels = {POD_NAME: pod.metadata.name, POD_INDEX: str(ordinal)}
        patch["metadata"] = {"labels": labels}
    has = _claims_in(pod)
    lacking = {v: c for v, c in claims_of(stateful_set, ordinal).items() if has.get(v) != c}
    if lacking:
        volumes = [
            {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
            for volume, claim in lacking.items()
        ]
        patch["spec"] = {"volumes": volumes}
    return patch


def _claims_in(pod: Pod) -> Mapping[str, str]:
    return {
        volume.name: volume.persistent_volume_claim.claim_name
        for volume in pod.spec.volumes
        if volume.persistent_volume_claim is not None
    }
