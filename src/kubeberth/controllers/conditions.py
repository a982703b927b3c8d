"""The conditions of a workload's status, edited as upstream does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from kubeberth.api.core import find_condition
from kubeberth.api.meta import Condition
from kubeberth.clock import rfc3339


class Conditions:
    """A status's conditions while a new status is made of an old one.

    Parameters
    ----------
    now
        Seconds since 1970, for what changes.
    with_update_time
        Whether the kind has `lastUpdateTime`.
    """

    def __init__(
        self, conditions: Iterable[Condition], now: float, *, with_update_time: bool = False
    ) -> None:
        self._original = tuple(conditions)
        self._current = self._original
        self._now = rfc3339(now)
        self._with_update_time = with_update_time

    @property
    def changed(self) -> bool:
        """Whether they differ from the original ones."""
        return self._current != self._original

    def get(self, type_: str) -> Condition | None:
        """Return the condition of that type, or None."""
        return find_condition(self._current, type_)

    def set(self, type_: str, status: str, reason: str, message: str) -> None:
        """Put a condition last; one of equal status and reason stays as it is."""
        current = self.get(type_)
        if current is not None and (current.status, current.reason) == (status, reason):
            return
        since = current.last_transition_time if current and current.status == status else self._now
        self._put(type_, status, reason, message, since)

    def replace(self, type_: str, status: str, reason: str, message: str) -> None:
        """Put a condition last even when only its update time is new."""
        current = self.get(type_)
        since = current.last_transition_time if current and current.status == status else self._now
        self._put(type_, status, reason, message, since)

    def copy(self, condition: Condition) -> None:
        """Take a condition over from another object."""
        self.set(condition.type, condition.status, condition.reason, condition.message)

    def remove(self, type_: str) -> None:
        """Take away the condition of that type."""
        self._current = tuple(entry for entry in self._current if entry.type != type_)

    def to_document(self) -> list[dict[str, Any]]:
        """Return them as JSON."""
        # Unknown is the struct's default, and defaults are left out.
        return [
            {**msgspec.to_builtins(condition), "status": condition.status}
            for condition in self._current
        ]

    def _put(self, type_: str, status: str, reason: str, message: str, since: str | None) -> None:
        self.remove(type_)
        condition = Condition(
            type=type_,
            status=status,
            reason=reason,
            message=message,
            last_transition_time=since,
            last_update_time=self._now if self._with_update_time else None,
        )
        self._current = (*self._current, condition)
