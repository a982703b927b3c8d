"""What can be set about a scheduler."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one scheduler.

    Parameters
    ----------
    scheduler_name
        The pods it takes care of: those with this `spec.schedulerName`.
    seed
        Decides among equally good nodes: same seed and history, same choices.
    instance
        Who reports its events.
    """

    scheduler_name: str = "default-scheduler"
    seed: int = 0
    instance: str = ""

    @property
    def reporting_instance(self) -> str:
        """`reportingInstance` of its events."""
        return self.instance or self.scheduler_name
