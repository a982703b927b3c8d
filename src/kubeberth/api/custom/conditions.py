"""The conditions of a CustomResourceDefinition."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def put(definition: Document, type_: str, status: str, reason: str, message: str, now: str) -> None:
    """Set a condition; its time is when the status last changed."""
    conditions = definition["status"].get("conditions") or []
    before = next((found for found in conditions if found["type"] == type_), None)
    is_same = before is not None and before["status"] == status
    condition = {
        "type": type_,
        "status": status,
        "lastTransitionTime": before["lastTransitionTime"] if before and is_same else now,
        "reason": reason,
        "message": message,
    }
    if before is None:
        conditions = [*conditions, condition]
    else:
        conditions = [condition if found is before else found for found in conditions]
    definition["status"]["conditions"] = conditions
