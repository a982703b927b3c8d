"""Default tolerations: every pod stays for five minutes on a node that stops answering.

Matches `plugin/pkg/admission/defaulttolerationseconds` of Kubernetes 1.36.
"""

from __future__ import annotations

from typing import Any

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
SECONDS = 300


def add_default_tolerations(
    spec: dict[str, Any], not_ready_s: int = SECONDS, unreachable_s: int = SECONDS
) -> None:
    """Add the two tolerations to a pod's spec, each unless it has one for that taint."""
    tolerations = spec.get("tolerations") or []
    added = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for key, seconds in ((NOT_READY, not_ready_s), (UNREACHABLE, unreachable_s))
        if not _is_covered(key, tolerations)
    ]
    if added:
        spec["tolerations"] = [*tolerations, *added]


def _is_covered(key: str, tolerations: list[dict[str, Any]]) -> bool:
    return any(
        toleration.get("key", "") in (key, "") and toleration.get("effect", "") in ("NoExecute", "")
        for toleration in tolerations
    )
