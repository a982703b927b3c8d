"""Tolerations of manifests, and the taints that they leave untolerated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubeberth.api.core import Taint
from kubeberth.api.taints import tolerates
from kubeberth.lint.field import Field


@dataclass(frozen=True, slots=True)
class Toleration:
    """One toleration, and where it stands."""

    field: Field

    @property
    def key(self) -> str:
        """The taint's key; empty for all keys."""
        return self.field.at("key").text

    @property
    def operator(self) -> str:
        """`Equal`, or `Exists` for any value."""
        return self.field.at("operator").text or "Equal"

    @property
    def value(self) -> str:
        """The taint's value."""
        return self.field.at("value").text

    @property
    def effect(self) -> str:
        """The taint's effect; empty for all."""
        return self.field.at("effect").text

    @property
    def is_of_everything(self) -> bool:
        """Whether no taint keeps the pods away."""
        return not self.key and self.operator == "Exists" and not self.effect

    def __str__(self) -> str:
        key = self.key or "every taint"
        shown = f"{key}={self.value}" if self.value else key
        return f"{shown}:{self.effect}" if self.effect else shown


def tolerations(spec: Field) -> list[Toleration]:
    """Return the tolerations of a pod's spec."""
    return [Toleration(entry) for entry in spec.each("tolerations")]


def untolerated(taints: Iterable[Taint], tolerated: Sequence[Toleration]) -> list[Taint]:
    """Return the taints that no toleration covers."""
    return [taint for taint in taints if not any(tolerates(one, taint) for one in tolerated)]
