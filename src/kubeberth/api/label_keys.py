"""`matchLabelKeys` and `mismatchLabelKeys`: a pod's own labels, written into its selectors.

Done once, when a pod is created and before it is validated; later changes of its labels have no
effect. Matches `pkg/registry/core/pod/strategy.go` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_OPERATORS = {"matchLabelKeys": "In", "mismatchLabelKeys": "NotIn"}


def merge_label_keys(pod: dict[str, Any]) -> None:
    """Add one expression per key to the selectors of a pod's affinity terms and constraints."""
    labels = (pod.get("metadata") or {}).get("labels") or {}
    for term in _terms(pod.get("spec") or {}):
        selector = term.get("labelSelector")
        if selector is None:
            continue
        for field, operator in _OPERATORS.items():
            added = [
                {"key": key, "operator": operator, "values": [labels[key]]}
                for key in term.get(field) or ()
                if key in labels
            ]
            if added:
                selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *added]


def _terms(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    affinity = spec.get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(field) or {}
        yield from rules.get(_REQUIRED) or ()
        for weighted in rules.get(_PREFERRED) or ():
            yield weighted.get("podAffinityTerm") or {}
    yield from spec.get("topologySpreadConstraints") or ()
