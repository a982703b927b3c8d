"""The history of a Deployment: which ReplicaSet is its current template, which revision each is.

Matches Kubernetes 1.36 (`pkg/controller/deployment/util`): annotations and their meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeberth.api.meta import LabelSelector, ObjectMeta
from kubeberth.api.workloads import POD_TEMPLATE_HASH, Deployment, ReplicaSet, seconds_of
from kubeberth.controllers.action import ObjectRef
from kubeberth.controllers.workloads.rollout import Bounds, Size
from kubeberth.controllers.workloads.template_hash import normal_template

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
# What a ReplicaSet does not take over from its Deployment.
NOT_COPIED = frozenset(
    (
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    )
)
# Longest object name there is.
MAX_NAME = 253


def age(meta: ObjectMeta) -> tuple[float, str]:
    """Return what orders sets from old to new."""
    return seconds_of(meta.creation_timestamp), meta.name


def current_set(deployment: Deployment, sets: Iterable[ReplicaSet]) -> ReplicaSet | None:
    """Return the oldest set that has the Deployment's template, or None."""
    wanted = normal_template(deployment.spec.template)
    same = (item for item in sets if normal_template(item.spec.template) == wanted)
    return min(same, key=lambda item: age(item.metadata), default=None)


def number(annotations: Mapping[str, str], key: str) -> int | None:
    """Return an annotation that is a number, or None."""
    text = annotations.get(key, "")
    return int(text) if text.isdecimal() else None


def revision_of(item: ReplicaSet) -> int:
    """Return a set's revision; one without has 0."""
    return number(item.metadata.annotations, REVISION) or 0


def to_size(item: ReplicaSet) -> Size:
    """Return a set as the arithmetic of rollouts sees it.

    A set that was just made smaller still reports the pods it is about to lose, and one that was
    then made larger again reports pods that it has lost. Upstream counts both, and so may shrink
    other sets too early; here a set has no more than it is meant to have, and none for certain
    before it has seen what it is meant to have.
    """
    available = min(item.status.available_replicas, item.spec.replicas)
    return Size(
        item.metadata.name,
        item.spec.replicas,
        available if is_observed(item) else 0,
        is_observed(item),
        age(item.metadata),
        number(item.metadata.annotations, MAX_REPLICAS),
    )


def is_observed(item: ReplicaSet) -> bool:
    """Return whether a set's status tells of the pods that it had when it was last resized."""
    return item.status.observed_generation >= item.metadata.generation


def scale_annotations(bounds: Bounds) -> dict[str, str]:
    """Return what a set notes about the Deployment it was last scaled for."""
    return {DESIRED_REPLICAS: str(bounds.replicas), MAX_REPLICAS: str(bounds.most)}


def current_annotations(
    deployment: Deployment, existing: Mapping[str, str], revision: int
) -> dict[str, str]:
    """Return the annotations that the current set still lacks.

    Parameters
    ----------
    existing
        The set's own annotations.
    revision
        One more than any older set has.
    """
    copied = {k: v for k, v in deployment.metadata.annotations.items() if k not in NOT_COPIED}
    wanted = {k: v for k, v in copied.items() if existing.get(k) != v}
    before = number(existing, REVISION)
    if before is None or before < revision:
        wanted[REVISION] = str(revision)
        if before is not None:
            # A rollback: the set goes to the front, and remembers where it was.
            history = existing.get(REVISION_HISTORY)
            wanted[REVISION_HISTORY] = f"{history},{before}" if history else str(before)
    return wanted


def set_name(deployment: Deployment, hash_: str) -> str:
    """Return the name of the set of a template."""
    return f"{deployment.metadata.name[: MAX_NAME - len(hash_) - 1]}-{hash_}"


def new_set(
    deployment: Deployment, owner: ObjectRef, hash_: str, replicas: int, annotations: dict[str, str]
) -> dict[str, Any]:
    """Return the ReplicaSet of a Deployment's template."""
    template = deployment.spec.template
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), POD_TEMPLATE_HASH: hash_}
    selector = (deployment.spec.selector or LabelSelector()).to_document()
    match_labels = {**selector.get("matchLabels", {}), POD_TEMPLATE_HASH: hash_}
    spec: dict[str, Any] = {
        "replicas": replicas,
        "selector": {**selector, "matchLabels": match_labels},
        "template": {**template, "metadata": {**metadata, "labels": labels}},
    }
    if deployment.spec.min_ready_seconds:
        spec["minReadySeconds"] = deployment.spec.min_ready_seconds
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": set_name(deployment, hash_),
            "namespace": owner.namespace,
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner.owner_reference()],
        },
        "spec": spec,
    }


def expendable_sets(deployment: Deployment, old: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Return the old sets that are beyond `revisionHistoryLimit` and empty, oldest first."""
    limit = deployment.spec.revision_history_limit
    candidates = [item for item in old if item.metadata.deletion_timestamp is None]
    if limit is None or len(candidates) <= limit:
        return []
    candidates.sort(key=lambda item: (revision_of(item), age(item.metadata)))
    return [item for item in candidates[: len(candidates) - limit] if _is_empty(item)]


def _is_empty(item: ReplicaSet) -> bool:
    return item.status.replicas == 0 and item.spec.replicas == 0 and is_observed(item)
