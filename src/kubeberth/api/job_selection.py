"""How a new job comes to select the pods that it makes, and no other's.

Matches `generateSelector` in `pkg/registry/batch/job/strategy.go` of Kubernetes 1.36.
"""

from __future__ import annotations

from typing import Any


def select_own_pods(job: dict[str, Any]) -> None:
    """Label a job's template with the job, and select by that, unless it says how to select."""
    spec, metadata = job["spec"], job["metadata"]
    if spec.get("manualSelector"):
        return
    uid = metadata.get("uid", "")
    described = spec["template"].setdefault("metadata", {})
    # What was sent may share the map, and stays as it is; a job that by default has the labels of
    # its template has them on.
    shared = described.get("labels")
    labels = described["labels"] = dict(shared or {})
    if shared is not None and metadata.get("labels") is shared:
        metadata["labels"] = labels
    # Also under the names of before 1.27, which somebody may still select by.
    for prefix in ("batch.kubernetes.io/", ""):
        if not labels.get(f"{prefix}job-name"):
            labels[f"{prefix}job-name"] = metadata.get("name", "")
        if not labels.get(f"{prefix}controller-uid"):
            labels[f"{prefix}controller-uid"] = uid
    selector = spec.setdefault("selector", {})
    match_labels = selector["matchLabels"] = dict(selector.get("matchLabels") or {})
    match_labels.setdefault("batch.kubernetes.io/controller-uid", uid)
