"""What a DELETE does to an object; pure.

    Rule 1  A bound, running pod is marked and waits for its kubelet; nothing else needs grace.
    Rule 2  A second DELETE can only shorten the grace period, which began with the first.
    Rule 3  What has finalizers is marked and waits for the last of them to go.

Matches `rest.BeforeDelete` and the generic store's `Delete` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubeberth.api.custom import conditions
from kubeberth.api.custom.definitions import FINALIZER
from kubeberth.api.scheme import Resource
from kubeberth.api.times import seconds_of
from kubeberth.apiserver.objects import Document
from kubeberth.apiserver.strategy import put

Stamp = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a DELETE does: write this state first (None: nothing to write), then perhaps remove."""

    document: Document | None
    removes: bool


def plan_deletion(
    resource: Resource,
    document: Document,
    *,
    grace_period_s: int | None,
    propagation: str,
    now: float,
    stamp: Stamp,
) -> Deletion:
    """Decide what a DELETE does to an object.

    Parameters
    ----------
    document
        The object; may be changed.
    stamp
        Turns seconds since 1970 into RFC 3339 text.
    """
    if resource.built_in_kind == "Namespace":
        return _plan_namespace(document, stamp(now))
    if resource.built_in_kind == "CustomResourceDefinition":
        return _plan_definition(document, stamp(now))
    metadata = document["metadata"]
    is_graceful = False
    if resource.built_in_kind == "Pod":
        period = _pod_period(document, grace_period_s)
        if period is None:
            return Deletion(None, removes=False)
        is_graceful = _mark_pod(metadata, period, now, stamp)
    before = list(metadata.get("finalizers", ()))
    finalizers = _with_propagation(resource, before, propagation or default_propagation(resource))
    put(metadata, "finalizers", finalizers or None)
    if finalizers and not is_graceful:
        mark_deleted(metadata, stamp(now))
    waits = bool(finalizers) or (is_graceful and metadata["deletionGracePeriodSeconds"] > 0)
    is_written = is_graceful or bool(finalizers) or finalizers != before
    return Deletion(document if is_written else None, removes=not waits)


def default_propagation(resource: Resource) -> str:
    """Return what becomes of the dependents when nobody says so: a job's pods are kept."""
    return "Orphan" if resource.built_in_kind in ("Job", "ReplicationController") else ""


def _pod_period(pod: Document, asked: int | None) -> int | None:
    """Return the grace period of a DELETE, or None when it changes nothing."""
    metadata = pod["metadata"]
    if asked is not None and asked < 0:
        asked = 1
    running = metadata.get("deletionGracePeriodSeconds")
    if "deletionTimestamp" in metadata:
        if not running:
            return 0
        return asked if asked is not None and asked < running else None
    period = asked if asked is not None else pod["spec"].get("terminationGracePeriodSeconds", 0)
    is_done = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return 0 if is_done or not pod["spec"].get("nodeName") else period


def _mark_pod(metadata: dict[str, Any], period: int, now: float, stamp: Stamp) -> bool:
    """Mark a pod as being deleted after a period; return whether that changed it."""
    if "deletionTimestamp" in metadata and not metadata.get("deletionGracePeriodSeconds"):
        return False
    began_at = now
    if "deletionTimestamp" in metadata:
        began_at = (
            seconds_of(metadata["deletionTimestamp"]) - metadata["deletionGracePeriodSeconds"]
        )
    else:
        _count(metadata)
    metadata["deletionTimestamp"] = stamp(began_at + period)
    metadata["deletionGracePeriodSeconds"] = period
    return True


def mark_deleted(metadata: dict[str, Any], now: str) -> None:
    """Mark an object as deleted, to stay until its finalizers are gone."""
    if "deletionTimestamp" not in metadata:
        _count(metadata)
        metadata["deletionTimestamp"] = now
    metadata["deletionGracePeriodSeconds"] = 0


def _count(metadata: dict[str, Any]) -> None:
    if metadata.get("generation", 0) > 0:
        metadata["generation"] += 1


def _with_propagation(resource: Resource, finalizers: list[str], propagation: str) -> list[str]:
    """Return the finalizers with those that make the garbage collector orphan or go first."""
    if resource.built_in_kind == "Event":  # has no dependents
        return finalizers
    wanted = {"Orphan": ["orphan"], "Foreground": ["foregroundDeletion"], "Background": []}
    if propagation not in wanted:
        return finalizers
    others = [name for name in finalizers if name not in ("orphan", "foregroundDeletion")]
    target = wanted[propagation]
    kept = [name for name in finalizers if name in target]
    return finalizers if kept == target and len(others) + len(kept) == len(finalizers) else (
        others + target
    )  # fmt: skip


def _plan_namespace(document: Document, now: str) -> Deletion:
    metadata = document["metadata"]
    is_empty = not document.get("spec", {}).get("finalizers")
    if "deletionTimestamp" in metadata:
        return Deletion(None, removes=is_empty and not metadata.get("finalizers"))
    metadata["deletionTimestamp"] = now
    document["status"] = {**document.get("status", {}), "phase": "Terminating"}
    return Deletion(document, removes=False)


def _plan_definition(document: Document, now: str) -> Deletion:
    """Keep a definition until its objects are gone, for which `definitions.py` cares."""
    metadata = document["metadata"]
    if "deletionTimestamp" in metadata:
        return Deletion(None, removes=not metadata.get("finalizers"))
    mark_deleted(metadata, now)
    metadata.pop("deletionGracePeriodSeconds")
    finalizers = metadata.get("finalizers") or []
    if FINALIZER not in finalizers:
        metadata["finalizers"] = [*finalizers, FINALIZER]
    conditions.put(
        document,
        "Terminating",
        "True",
        "InstanceDeletionPending",
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        now,
    )
    return Deletion(document, removes=False)
