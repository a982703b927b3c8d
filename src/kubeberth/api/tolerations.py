"""Tolerations that cover others, and lists of them put together.

Matches `pkg/util/tolerations` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Toleration = dict[str, Any]


def is_superset(wide: Toleration, narrow: Toleration) -> bool:
    """Return whether one toleration tolerates all that another does."""
    if wide == narrow:
        return True
    operator = wide.get("operator", "")
    key, effect = wide.get("key", ""), wide.get("effect", "")
    if key != narrow.get("key", "") and (key or operator != "Exists"):
        return False
    if effect and effect != narrow.get("effect", ""):
        return False
    if effect == "NoExecute" and (limit := wide.get("tolerationSeconds")) is not None:
        seconds = narrow.get("tolerationSeconds")
        if seconds is None or seconds > limit:
            return False
    if operator in ("", "Equal"):
        same_operator = operator == narrow.get("operator", "")
        return bool(same_operator and wide.get("value", "") == narrow.get("value", ""))
    return bool(operator == "Exists")


def merged(first: Iterable[Toleration], second: Iterable[Toleration]) -> list[Toleration]:
    """Return all tolerations but those that others of them cover."""
    every = [*first, *second]
    kept: list[Toleration] = []
    for position, toleration in enumerate(every):
        if any(is_superset(other, toleration) for other in kept):
            continue
        later = every[position + 1 :]
        if any(other != toleration and is_superset(other, toleration) for other in later):
            continue
        kept.append(dict(toleration))
    return kept


def is_within(toleration: Toleration, listed: Sequence[Toleration]) -> bool:
    """Return whether one of a list covers a toleration."""
    return any(is_superset(other, toleration) for other in listed)
