"""Pulse: the sign that hard rules over domains may answer differently."""

from __future__ import annotations


class Pulse:
    """Beats whenever a hard rule over domains may answer differently.

    One look at it tells a reader of many counters that none of them is news.
    """

    __slots__ = ("n_beats",)

    def __init__(self) -> None:
        self.n_beats = 0
