"""What allows a process to work: that it has no rivals, or that it was elected among them."""

from __future__ import annotations

from typing import Protocol

from kubeberth.errors import BerthError


class LeadershipLostError(BerthError):
    """The seat could not be renewed in time: somebody else may have it."""


class Mandate(Protocol):
    """What allows a process to work."""

    @property
    def holds(self) -> bool:
        """Whether it may work at this very moment."""

    async def win(self) -> None:
        """Return once it may work."""

    async def keep(self) -> None:
        """Do what it takes to go on, until cancelled.

        Raises
        ------
        LeadershipLostError
            It may work no longer.
        """

    async def release(self) -> None:
        """Let others work."""


class Alone:
    """The mandate of a process that has no rivals."""

    holds = True

    async def win(self) -> None:
        """There is nobody to win against."""

    async def keep(self) -> None:
        """There is nothing to be done for it."""

    async def release(self) -> None:
        """There is nobody to work instead."""
