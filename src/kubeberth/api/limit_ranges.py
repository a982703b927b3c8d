"""Limit ranges: what a namespace gives containers that say nothing, and what it allows.

Matches `plugin/pkg/admission/limitranger` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kubeberth.api.pod_totals import Totals, total_limits, total_requests
from kubeberth.api.quantity import Quantity, parse_quantity
from kubeberth.api.scheme import PODS, Resource

Document = dict[str, Any]

ANNOTATION = "kubernetes.io/limit-ranger"
_CLAIM = "PersistentVolumeClaim"
_FIELDS = (("containers", "container"), ("initContainers", "init container"))


def faults_of(resource: Resource, document: Document, limit_range: Document) -> str:
    """Return why a pod or a claim is out of bounds; empty when it is not."""
    items = (limit_range.get("spec") or {}).get("limits") or ()
    found = pod_faults if resource is PODS else claim_faults
    faults = sorted({fault for item in items for fault in found(document["spec"], item)})
    return faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]" if faults else ""


def fill_in(pod: Document, limit_range: Document) -> None:
    """Give containers the default bounds, and tell so in an annotation."""
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for item in (limit_range.get("spec") or {}).get("limits") or ():
        if item.get("type") == "Container":
            requests |= item.get("defaultRequest") or {}
            limits |= item.get("default") or {}
    told = []
    for field, what in _FIELDS:
        for container in pod["spec"].get(field) or ():
            resources = container.setdefault("resources", {})
            for bound, word, defaults in (
                ("requests", "request", requests),
                ("limits", "limit", limits),
            ):
                missing = {k: v for k, v in defaults.items() if k not in resources.get(bound, {})}
                if missing:
                    resources[bound] = {**resources.get(bound, {}), **missing}
                    names = ", ".join(sorted(missing))
                    told.append(f"{names} {word} for {what} {container.get('name', '')}")
    if told:
        annotations = pod["metadata"].get("annotations", {})
        text = f"LimitRanger plugin set: {'; '.join(told)}"
        pod["metadata"]["annotations"] = {**annotations, ANNOTATION: text}


def pod_faults(spec: Document, item: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is out of the bounds of one item of a limit range."""
    kind = item.get("type", "")
    if kind == "Container":
        for field, _ in _FIELDS:
            for container in spec.get(field) or ():
                resources = container.get("resources") or {}
                bounds = [_parsed(resources.get(bound)) for bound in ("requests", "limits")]
                yield from _faults(item, kind, *bounds)
    elif kind == "Pod":
        yield from _faults(item, kind, total_requests(spec), total_limits(spec))


def _parsed(amounts: Mapping[str, str] | None) -> Totals:
    return {name: parse_quantity(amount) for name, amount in (amounts or {}).items()}


def _faults(item: Mapping[str, Any], kind: str, requests: Totals, limits: Totals) -> Iterator[str]:
    for name, amount in (item.get("min") or {}).items():
        yield from _below(name, kind, parse_quantity(amount), requests.get(name), limits.get(name))
    for name, amount in (item.get("max") or {}).items():
        yield from _above(name, kind, parse_quantity(amount), requests.get(name), limits.get(name))
    for name, amount in (item.get("maxLimitRequestRatio") or {}).items():
        yield from _apart(name, kind, parse_quantity(amount), requests.get(name), limits.get(name))


def _below(
    name: str, kind: str, least: Quantity, request: Quantity | None, limit: Quantity | None
) -> Iterator[str]:
    text = f"minimum {name} usage per {kind} is {least}"
    if request is None:
        yield f"{text}.  No request is specified"
    elif request.nanos < least.nanos:
        yield f"{text}, but request is {request}"
    elif limit is not None and limit.nanos < least.nanos:
        yield f"{text}, but limit is {limit}"


def _above(
    name: str, kind: str, most: Quantity, request: Quantity | None, limit: Quantity | None
) -> Iterator[str]:
    text = f"maximum {name} usage per {kind} is {most}"
    if limit is None:
        yield f"{text}.  No limit is specified"
    elif limit.nanos > most.nanos:
        yield f"{text}, but limit is {limit}"
    elif request is not None and request.nanos > most.nanos:
        yield f"{text}, but request is {request}"


def _apart(
    name: str, kind: str, most: Quantity, request: Quantity | None, limit: Quantity | None
) -> Iterator[str]:
    text = f"{name} max limit to request ratio per {kind} is {most}"
    if request is None or not request.nanos:
        yield f"{text}, but no request is specified or request is 0"
    elif limit is None or not limit.nanos:
        yield f"{text}, but no limit is specified or limit is 0"
    elif (ratio := limit.nanos / request.nanos) > most.nanos / 10**9:
        yield f"{text}, but provided ratio is {ratio:.6f}"


def claim_faults(spec: Document, item: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of a claim is out of the bounds of one item of a limit range."""
    if item.get("type") != _CLAIM:
        return
    requests = _parsed((spec.get("resources") or {}).get("requests"))
    for name, amount in (item.get("min") or {}).items():
        yield from _below(name, _CLAIM, parse_quantity(amount), requests.get(name), None)
    for name, amount in (item.get("max") or {}).items():
        most, request = parse_quantity(amount), requests.get(name)
        text = f"maximum {name} usage per {_CLAIM} is {most}"
        if request is None:
            yield f"{text}.  No request is specified"
        elif request.nanos > most.nanos:
            yield f"{text}, but request is {request}"
