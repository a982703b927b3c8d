"""The pods of a job: what they say about themselves, and how new ones are made.

Matches Kubernetes 1.36 (`pkg/controller/job`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeberth.api.batch import (
    COMPLETION_INDEX,
    INDEX_FAILURE_COUNT,
    INDEX_IGNORED_FAILURE_COUNT,
    JOB_TRACKING,
    Job,
)
from kubeberth.api.core import Pod
from kubeberth.api.job_indexes import Indexes
from kubeberth.api.scheme import PODS
from kubeberth.api.workloads import is_ready, ready_since, seconds_of
from kubeberth.controllers.action import ObjectRef, PatchObject
from kubeberth.controllers.batch.job_policy import matched_rule
from kubeberth.controllers.cache import ref_of
from kubeberth.controllers.workloads.pod_template import pod_from_template
from kubeberth.controllers.workloads.replica_set import PHASE_ORDER

INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
# Of a generated name, before the random part: a longer one would lose the index at its end.
MAX_PREFIX = 58


def is_tracked(pod: Pod) -> bool:
    """Return whether the pod has still to be counted."""
    return JOB_TRACKING in pod.metadata.finalizers


def tracked(pod: Pod) -> PatchObject:
    """Return what holds a pod until it is counted."""
    metadata = {"uid": pod.metadata.uid, "finalizers": [JOB_TRACKING]}
    return PatchObject(ref_of(PODS, pod), {"metadata": metadata}, strategic=True, if_present=True)


def untracked(pod: Pod) -> PatchObject:
    """Return what lets go of a pod that is counted, or will never be."""
    metadata = {"uid": pod.metadata.uid, "$deleteFromPrimitiveList/finalizers": [JOB_TRACKING]}
    return PatchObject(ref_of(PODS, pod), {"metadata": metadata}, strategic=True, if_present=True)


def index_of(pod: Pod) -> int | None:
    """Return the pod's completion index, or None when it has no such thing."""
    return _number(pod, COMPLETION_INDEX)


def valid_index(pod: Pod, job: Job) -> int | None:
    """Return the pod's completion index if the job has one of that number."""
    index = index_of(pod)
    return index if index is not None and index < (job.spec.completions or 0) else None


def valid_indexes(pods: Iterable[Pod], job: Job) -> Indexes:
    """Return the completion indexes of pods, as far as they have valid ones."""
    indexes = (valid_index(pod, job) for pod in pods)
    return frozenset(index for index in indexes if index is not None)


def is_failed(pod: Pod, job: Job) -> bool:
    """Return whether the pod counts as failed.

    One that was deleted does so at once, as it may never get to tell how it ended, unless only pods
    that have certainly failed are replaced.
    """
    if pod.status.phase == "Failed":
        return True
    if replaces_only_failed(job):
        return False
    return pod.is_terminating and pod.status.phase != "Succeeded"


def replaces_only_failed(job: Job) -> bool:
    """Return whether a pod is replaced only when it has ended, not when it begins to go."""
    return job.spec.pod_replacement_policy == "Failed"


def finished_at(pod: Pod) -> float:
    """Return when the pod ended, as well as it can be told, in seconds since 1970."""
    meta = pod.metadata
    ends = [status.state.terminated for status in pod.status.container_statuses]
    told = [end.finished_at for end in ends if end is not None and end.finished_at]
    if told and len(told) == len(ends):
        return max(map(seconds_of, told))
    if pod.condition("Ready") is not None and not is_ready(pod):
        return ready_since(pod)
    if meta.deletion_timestamp is not None:
        return seconds_of(meta.deletion_timestamp) - (meta.deletion_grace_period_seconds or 0)
    return seconds_of(meta.creation_timestamp)


def failures_of_index(pod: Pod) -> tuple[int, int]:
    """Return how often the pod's index had failed when it was made: counted, and ignored."""
    return _number(pod, INDEX_FAILURE_COUNT) or 0, _number(pod, INDEX_IGNORED_FAILURE_COUNT) or 0


def removal_order(pod: Pod) -> tuple[Any, ...]:
    """Return by what the pods of a job are sorted when some must go: the least progress first."""
    ready = is_ready(pod)
    restarts = max((status.restart_count for status in pod.status.container_statuses), default=0)
    return (
        bool(pod.spec.node_name),
        PHASE_ORDER.get(pod.status.phase, 0),
        ready,
        -ready_since(pod) if ready else 0.0,
        -restarts,
        -seconds_of(pod.metadata.creation_timestamp),
    )


def new_pod(me: ObjectRef, job: Job) -> dict[str, Any]:
    """Return the next pod of a job without indexes."""
    body = pod_from_template(me, job.spec.template)
    held = [name for name in body["metadata"].get("finalizers", ()) if name != JOB_TRACKING]
    body["metadata"]["finalizers"] = [*held, JOB_TRACKING]
    return body


def new_indexed_pod(me: ObjectRef, job: Job, index: int, replaced: Pod | None) -> dict[str, Any]:
    """Return the pod of an index.

    Parameters
    ----------
    replaced
        The failed pod in whose place it comes, where each index has a limit of its own.
    """
    body = new_pod(me, job)
    metadata, number = body["metadata"], str(index)
    suffix = f"-{index}-"
    metadata["generateName"] = f"{me.name[: MAX_PREFIX - len(suffix)]}{suffix}"
    metadata["labels"] = {**metadata.get("labels", {}), COMPLETION_INDEX: number}
    annotations = {**metadata.get("annotations", {}), COMPLETION_INDEX: number}
    if job.spec.backoff_limit_per_index is not None:
        annotations |= _failure_counts(job, replaced)
    metadata["annotations"] = annotations
    body["spec"] = _with_index(body["spec"], f"{me.name}-{index}")
    return body


def _failure_counts(job: Job, replaced: Pod | None) -> dict[str, str]:
    if replaced is None:
        return {INDEX_FAILURE_COUNT: "0"}
    failures, ignored = failures_of_index(replaced)
    rule = matched_rule(job.spec.pod_failure_policy, replaced)
    if rule is not None and rule.action == "Ignore":
        ignored += 1
    else:
        failures += 1
    counts = {INDEX_FAILURE_COUNT: str(failures)}
    return counts | ({INDEX_IGNORED_FAILURE_COUNT: str(ignored)} if ignored else {})


def _with_index(spec: Mapping[str, Any], hostname: str) -> dict[str, Any]:
    """Return a pod's spec whose containers can read its index."""
    result = {**spec, "hostname": hostname}
    for field in ("initContainers", "containers"):
        if field in spec:
            result[field] = [_told_index(container) for container in spec[field]]
    return result


def _told_index(container: Mapping[str, Any]) -> Mapping[str, Any]:
    variables = container.get("env") or []
    if any(variable.get("name") == INDEX_VARIABLE for variable in variables):
        return container
    path = f"metadata.labels['{COMPLETION_INDEX}']"
    told = {"name": INDEX_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": path}}}
    return {**container, "env": [*variables, told]}


def _number(pod: Pod, annotation: str) -> int | None:
    text = pod.metadata.annotations.get(annotation, "")
    return int(text) if text.isdecimal() else None
