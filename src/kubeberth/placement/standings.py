"""Standings: which of some groups of nodes is ahead, kept up to date by differences.

A group's key is the entry of its first node, less all that the group earns; the lowest key belongs
to the best node. Most decisions change the first nodes of two groups, and what the groups of one
domain earn. So a key is never added up anew as long as the same groups take part: it moves by as
much as its entry, or what the group earns by one rule, has moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from operator import add, itemgetter, sub
from typing import Protocol, TypeVar, cast

from kubeberth.placement.plugin import MAX_SCORE, GroupScore
from kubeberth.placement.ranked_rules import Key
from kubeberth.placement.ties import RANK_BITS
from kubeberth.placement.vocabulary import LabelColumn

T = TypeVar("T")


class Picker(Protocol):
    """Takes entries out of a table."""

    def __call__(self, table: Sequence[T], /) -> Sequence[T]:
        """Return the entries."""
        ...


def picker(places: Sequence[int]) -> Picker:
    """Return what takes the entries at these places out of a table."""
    if len(places) > 1:
        return cast(Picker, itemgetter(*places))

    def pick(table: Sequence[T], /) -> Sequence[T]:
        return [table[place] for place in places]

    return pick


def pickers(keys: Sequence[Key], place_in_key: Mapping[str, int]) -> dict[str, Picker]:
    """Return, for each topology key, what takes the domains of groups with these keys."""
    parts = list(zip(*keys, strict=True))
    return {key: picker(parts[place]) for key, place in place_in_key.items() if keys}


class GroupsView:
    """Some groups, as soft rules see them; whoever sees the same one again sees the same values.

    Parameters
    ----------
    pick
        Takes these groups' entries out of a list of all groups.
    sizes
        How many nodes there are in each of all groups, always as it is.

    Attributes
    ----------
    n_nodes
        How many nodes there are in these groups.
    """

    def __init__(self, pick: Picker, sizes: list[int], pickers: Mapping[str, Picker]) -> None:
        self.n_nodes = 0
        self._pick, self._sizes, self._pickers = pick, sizes, pickers

    @property
    def sizes(self) -> Sequence[int]:
        """How many nodes are in each group."""
        return self._pick(self._sizes)

    def renamed(self) -> GroupsView:
        """Return a view of the same groups with other values."""
        return GroupsView(self._pick, self._sizes, self._pickers)

    def pick(self, column: LabelColumn, table: Sequence[T]) -> Sequence[T]:
        """Return, for each group, its domain's entry in a table."""
        return self._pickers[column.key](table)


class Share:
    """What each group earns by one soft rule.

    Attributes
    ----------
    values
        The node values of the groups.
    earned
        Shifted as the scores in entries.
    """

    __slots__ = ("earned", "score", "values", "worths")

    def __init__(self, score: GroupScore, weight: int) -> None:
        self.score = score
        self.worths = _worths(weight)
        self.values: list[int] = []
        self.earned: list[int] = []


class Standings:
    """Some groups that together are all there is to normalise over.

    Parameters
    ----------
    live
        The groups.
    static
        What each of them earns that never changes.
    shares
        What else they earn.
    may_change
        Whether that can be something else the next time.

    Attributes
    ----------
    pick
        Takes these groups' entries out of a list of all groups.
    only
        The group, if there is but one. Nothing is compared then: its key lacks the entry.
    places
        At which place here the key of a group is that moves with its first entry.
    keys
        The key of each.
    n_renamed
        How often groups had got other values when these were told of.
    """

    def __init__(
        self,
        live: tuple[int, ...],
        view: GroupsView,
        static: list[int],
        shares: list[Share],
        *,
        may_change: bool,
    ) -> None:
        self.live, self.may_change = live, may_change
        self.pick = picker(live)
        self.only = live[0] if len(live) == 1 else None
        self.places = {group: place for place, group in enumerate(live) if len(live) > 1}
        self.keys: list[int] = []
        self.n_renamed = -1
        self._view, self._static, self.shares = view, static, shares

    def start(self, tops: list[int]) -> None:
        """Begin with what the groups earn for good; `tops` holds the first entry of all groups."""
        entries = self.pick(tops) if self.only is None else (0,)
        self.keys = list(map(sub, entries, self._static))
        for share in self.shares:
            share.earned = [0] * len(self.keys)
        # Soft rules must not take the groups for those of the last time.
        self.n_renamed = -1

    def rename(self, values: Sequence[list[int]]) -> None:
        """Take in other node values, for each soft rule those of every group."""
        self._view = self._view.renamed()
        for share, of_groups in zip(self.shares, values, strict=True):
            share.values = of_groups

    def weigh(self, n_nodes: int) -> None:
        """Normalise over the groups, which have so many nodes now."""
        keys, view = self.keys, self._view
        view.n_nodes = n_nodes
        for share in self.shares:
            score, worths, earned = share.score, share.worths, share.earned
            changed = score.rescore(view, share.values)
            if changed is None:
                share.earned = list(map(worths.__getitem__, score.scores))
                keys[:] = map(sub, map(add, keys, earned), share.earned)
                continue
            for place in changed:
                worth = worths[score.scores[place]]
                keys[place] += earned[place] - worth
                earned[place] = worth


@cache
def _worths(weight: int) -> tuple[int, ...]:
    """Return what a score of 0..100 comes to in an entry, by that score."""
    return tuple([weight * score << RANK_BITS for score in range(MAX_SCORE + 1)])
