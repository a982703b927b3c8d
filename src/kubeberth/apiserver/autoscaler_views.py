"""Autoscalers are stored as autoscaling/v2; `autoscaling/v1` knows one metric, the share of cpu.

What v1 has no field for travels in annotations, so that an update through v1 loses nothing.
Matches `pkg/apis/autoscaling/v1/conversion.go` of Kubernetes 1.36 in what clients see of it; the
annotations hold the v2 fields as they are.
"""

from __future__ import annotations

import copy
import json
from typing import Any

Document = dict[str, Any]

OLD_API_VERSION = "autoscaling/v1"
STORED_API_VERSION = "autoscaling/v2"
_PREFIX = "autoscaling.alpha.kubernetes.io/"
# Fields of spec and status that v1 lacks, and the annotations that carry them.
_CARRIED = (
    ("spec", "metrics", f"{_PREFIX}metrics"),
    ("spec", "behavior", f"{_PREFIX}behavior"),
    ("status", "conditions", f"{_PREFIX}conditions"),
    ("status", "currentMetrics", f"{_PREFIX}current-metrics"),
)
_TARGET, _CURRENT = "targetCPUUtilizationPercentage", "currentCPUUtilizationPercentage"


def to_v2(document: Document) -> Document:
    """Return an autoscaling/v1 autoscaler as it is stored."""
    stored = _copy(document, STORED_API_VERSION)
    annotations = stored["metadata"].get("annotations") or {}
    target = stored["spec"].pop(_TARGET, None)
    current = stored["status"].pop(_CURRENT, None)
    for part, field, annotation in _CARRIED:
        if (text := annotations.pop(annotation, None)) is not None:
            stored[part][field] = json.loads(text)
    if target is not None:
        metric = {"type": "Resource", "resource": _cpu("target", target)}
        stored["spec"]["metrics"] = [metric, *stored["spec"].get("metrics", ())]
    if current is not None:
        metric = {"type": "Resource", "resource": _cpu("current", current)}
        stored["status"]["currentMetrics"] = [metric, *stored["status"].get("currentMetrics", ())]
    return _without_empty(stored, annotations)


def from_v2(document: Document) -> Document:
    """Return a stored autoscaler as autoscaling/v1 shows it."""
    shown = _copy(document, OLD_API_VERSION)
    annotations = shown["metadata"].get("annotations") or {}
    for part, field, name, place in (
        ("spec", "metrics", _TARGET, "target"),
        ("status", "currentMetrics", _CURRENT, "current"),
    ):
        metrics = shown[part].get(field) or []
        cpu = next((m for m in metrics if _utilization(m, place) is not None), None)
        if cpu is not None:
            shown[part][name] = _utilization(cpu, place)
            shown[part][field] = [metric for metric in metrics if metric is not cpu]
    for part, field, annotation in _CARRIED:
        if value := shown[part].pop(field, None):
            annotations[annotation] = json.dumps(value, separators=(",", ":"))
    return _without_empty(shown, annotations)


def _copy(document: Document, api_version: str) -> Document:
    made = {**document, "apiVersion": api_version, "metadata": {**document["metadata"]}}
    if annotations := made["metadata"].get("annotations"):
        made["metadata"]["annotations"] = dict(annotations)
    for part in ("spec", "status"):
        made[part] = copy.deepcopy(document.get(part) or {})
    return made


def _without_empty(document: Document, annotations: dict[str, str]) -> Document:
    if annotations:
        document["metadata"]["annotations"] = annotations
    else:
        document["metadata"].pop("annotations", None)
    return document


def _cpu(place: str, percentage: int) -> Document:
    value: Document = {"averageUtilization": percentage}
    if place == "target":
        value = {"type": "Utilization", **value}
    return {"name": "cpu", place: value}


def _utilization(metric: Document, place: str) -> int | None:
    """Return the share of cpu that a metric is about, or None for another metric."""
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    value: int | None = (resource.get(place) or {}).get("averageUtilization")
    return value
