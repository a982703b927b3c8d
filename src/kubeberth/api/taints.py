"""Which taints a toleration tolerates, and how taints are written."""

from __future__ import annotations

from typing import Protocol


class KeyValueEffect(Protocol):
    """What taints and tolerations have in common."""

    @property
    def key(self) -> str:
        """Return the taint's key; empty in a toleration of all keys."""

    @property
    def value(self) -> str:
        """Return the value that goes with the key."""

    @property
    def effect(self) -> str:
        """Return NoSchedule, PreferNoSchedule or NoExecute; empty in a toleration of all."""


class Toleration(KeyValueEffect, Protocol):
    """What is asked of a toleration."""

    @property
    def operator(self) -> str:
        """Return Equal, Exists or empty, which means Equal."""


def tolerates(toleration: Toleration, taint: KeyValueEffect) -> bool:
    """Return whether the toleration covers the taint.

    Matches Kubernetes 1.36 with its default gates: the operators Lt and Gt never match.
    """
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator in ("", "Equal"):
        return toleration.value == taint.value
    return toleration.operator == "Exists"


def shown_taint(taint: KeyValueEffect) -> str:
    """Return a taint as kubectl writes it."""
    value = f"={taint.value}" if taint.value else ""
    return f"{taint.key}{value}:{taint.effect}"
