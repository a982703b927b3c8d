"""The conditions of a workload's status, edited as upstream does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from kubeberth.api.core import find_condition
from kubeberth.api.meta import Condition, to_documents
from kubeberth.clock import rfc3339

Stamp = Literal["last_update_time", "last_probe_time"]


class Conditions:
    """A status's conditions while a new status is made of an old one.

    Parameters
    ----------
    now
        Seconds since 1970, for what changes.
    stamp
        What besides `last_transition_time` says when a condition was written, if the kind has it.
    """

    def __init__(
        self, conditions: Iterable[Condition], now: float, *, stamp: Stamp | None = None
    ) -> None:
        self._original = tuple(conditions)
        self._current = self._original
        self._now = rfc3339(now)
        self._stamp = stamp

    @property
    def changed(self) -> bool:
        """Whether they differ from the original ones."""
        return self._current != self._original

    @property
    def current(self) -> tuple[Condition, ...]:
        """What they are by now."""
        return self._current

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
        return to_documents(self._current)

    def _put(self, type_: str, status: str, reason: str, message: str, since: str | None) -> None:
        self.remove(type_)
        condition = Condition(
            type=type_,
            status=status,
            reason=reason,
            message=message,
            last_transition_time=since,
            last_update_time=self._now if self._stamp == "last_update_time" else None,
            last_probe_time=self._now if self._stamp == "last_probe_time" else None,
        )
        self._current = (*self._current, condition)
