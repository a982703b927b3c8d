"""Ranking: the nodes that a template's pods may go to, best first, kept up to date by change logs.

A node's total is what it earns by itself (room, balance) plus what is normalised over all nodes
that pass (taints, preferences, spread). The second part depends on a few values only: the node's
own preference score, its zone, how many such pods it has. Nodes with the same values form a
*group*: whatever happens elsewhere, the order within a group stays. So each group is lined up by
the first part, and a decision takes the best of the first nodes of all groups with the second part
added (see `standings.py`): exactly the best of all nodes that pass, since the groups that hold a
node are all there is to normalise over.

Hard rules over domains shut whole groups when nodes share the topology key's values (zones), single
nodes when every node has its own (host names).

After a pod is placed, one node has changed, and its entry is another one (see `entries.py`). The
node is judged again where rules over pods care for that pod. One that has become worse, as most do,
stays where it is in its lineup until it is about to be the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress, count

import numpy as np

from kubeberth.placement.entries import BASE, FULL, EntriesBook, Ints
from kubeberth.placement.lineup import END, Lineup
from kubeberth.placement.memo import Memo
from kubeberth.placement.normalize import normalize_groups
from kubeberth.placement.pulse import Pulse
from kubeberth.placement.ranked_rules import Key, RankedRules
from kubeberth.placement.request import PodRequest
from kubeberth.placement.search import Choice
from kubeberth.placement.standings import (
    GroupsView,
    Picker,
    Share,
    Standings,
    picker,
    pickers,
)
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import RANK_BITS

_RANK = (1 << RANK_BITS) - 1
# In place of a group or cell: the node does not pass.
_NONE = -1
# With more groups than this, one look at every node is cheaper than one at every group.
_MAX_GROUPS = 192
# Zones that open and shut in turn come in as many combinations.
_MAX_STANDINGS = 64


class TooManyGroupsError(Exception):
    """The nodes differ in so many ways that grouping them does not pay."""


class Ranking:
    """The nodes of one cluster in the order in which templates that are judged alike prefer them.

    Raises
    ------
    TooManyGroupsError
        Here or from `best`; then another way has to be taken.
    """

    def __init__(self, state: ClusterState, rules: RankedRules, book: EntriesBook) -> None:
        self._state, self._rules, self._book = state, rules, book
        self._census = state.census
        self._node_log, self._usage_log = state.node_log, state.usage_log
        self._nominated = state.nominations.pods
        self._cared_for = Memo(rules.care_for)
        # How far the logs have been followed.
        self._seen_nodes = self._seen_usage = self._seen_news = -1
        self._seen_census = self._seen_epoch = -1
        self._seen_pulse = self._seen_filters = -1
        self._seen_bases: list[object] = []
        # Per slot; a cell of `_NONE` says that its looks rule the node out.
        self._order: list[int] = []
        self._entries: list[int] = []
        self._cells = memoryview(b"")
        self._groups: list[int] = []
        # Per cell, which is all nodes of one key, and per group.
        self._cell_ids: dict[Key, int] = {}
        self._cell_keys: list[Key] = []
        self._group_ids: dict[tuple[int, Key], int] = {}
        self._group_keys: list[tuple[int, Key]] = []
        self._lineups: list[Lineup] = []
        self._tops: list[int] = []
        self._sizes: list[int] = []
        self._is_open: list[bool] = []
        self._vacant: dict[int, list[int]] = {}
        self._n_renamed = 0
        self._unsettled: list[int] = []
        self._latest = 0
        # Groups that are open and hold a node.
        self._has_other_groups = True
        self._n_feasible = 0
        self._standings = _nobody()
        self._known_standings: dict[tuple[int, ...], Standings] = {}
        self._of_cells: dict[tuple[int, ...], tuple[list[int], dict[str, Picker]]] = {}
        self._openers: list[Picker] = []
        self._start()

    def speak_for(self, request: PodRequest) -> None:
        """Ask on behalf of a template from now on; those that share a ranking are judged alike.

        Has to be called when the version of the census has changed.
        """
        self._rules.request = request
        if self._census.version != self._seen_census:
            self._seen_census = self._census.version
            self._cared_for.clear()

    def best(self) -> Choice | None:
        """Return the best node, None when no node passes."""
        if self._usage_log.end != self._seen_usage or self._node_log.end != self._seen_nodes:
            self._follow()
        if self._pulse.n_beats != self._seen_pulse:
            self._follow_pulse()
        if self._unsettled:
            for group in self._unsettled:
                self._settle(group)
            self._unsettled.clear()
        if self._has_other_groups:
            self._count_groups()
        elif self._standings.may_change:
            self._weigh()
        keys, only, tops = self._standings.keys, self._standings.only, self._tops
        if not keys:
            return None
        order, entries, groups = self._order, self._entries, self._groups
        # Mostly a pod has gone where the last answer said.
        group = self._latest
        if entries[order[tops[group] & _RANK]] != tops[group]:
            self._settle(group)
        while True:
            key = min(keys) if only is None else tops[only] + keys[0]
            slot = order[key & _RANK]
            group = groups[slot]
            if entries[slot] == tops[group]:
                break
            # It has become worse, so that another one may be the best.
            self._settle(group)
        self._latest = group
        if self._rules.error is not None and self._n_feasible > 1:
            raise self._rules.error
        return slot, BASE - (key >> RANK_BITS), self._n_feasible

    # Following the logs

    def _follow(self) -> None:
        rules = self._rules
        if self._node_log.end != self._seen_nodes:
            self._follow_looks()
        if rules.has_epoch and rules.epoch() != self._seen_epoch:
            self._start()
            return
        log = self._usage_log
        n_new = log.end - self._seen_usage
        if n_new == 1:
            self._worth.follow()
            slot, pods = log.latest
            if self._cared_for[pods] or self._nominated:
                self._judge(slot)
        elif n_new:
            changed: Iterable[int] | None = log.since(self._seen_usage, self._worth.n_many)
            if changed is None:
                self._start()
                return
            self._worth.follow()
            if not self._nominated:
                causes = log.causes(n_new)
                changed = compress(changed, map(self._cared_for.__getitem__, causes))
            for slot in changed:
                self._judge(slot)
        self._seen_usage = log.end
        if self._nominated and rules.has_epoch:
            self._judge_nominated()
        if self._worth.news.end != self._seen_news:
            self._follow_news()

    def _follow_news(self) -> None:
        """Look at nodes that have become better, or full."""
        news = self._worth.news
        changed = news.since(self._seen_news, self._worth.n_many)
        if changed is None:
            self._start()
            return
        self._seen_news = news.end
        for slot in changed:
            group = self._groups[slot]
            self._judge(slot)
            if group != _NONE and self._groups[slot] == group:
                self._push(group, self._entries[slot])

    def _follow_looks(self) -> None:
        state = self._state
        changed = self._node_log.since(self._seen_nodes, state.n_slots // 16 + 1)
        if (
            changed is None
            or len(self._cells) != state.n_slots
            or not self._rules.columns_are_as_before()
            or self._rules.bases() != self._seen_bases
        ):
            self._start()
            return
        self._seen_nodes = state.node_log.end
        self._worth.follow()
        nodes = np.array(sorted(set(changed)), dtype=np.intp)
        looks = self._rules.look(nodes, self._book.order.ranks)
        if not self._worth.rebase(nodes, looks.bases):
            self._start()
            return
        passes = looks.passes.tolist()
        keys = zip(*(part.tolist() for part in looks.key), strict=True) if looks.key else None
        for index, slot in enumerate(nodes.tolist()):
            key = next(keys) if keys else ()
            if self._groups[slot] != _NONE:
                self._leave(slot)
            self._cells[slot] = self._cell_of(key) if passes[index] else _NONE
            self._judge(slot)

    def _follow_pulse(self) -> None:
        rules = self._rules
        if rules.filter_version() != self._seen_filters:
            if self._nominated:
                self._judge_nominated()
            # Trials on those nodes have left their mark on the versions, and changed nothing.
            self._seen_filters = rules.filter_version()
            self._open_groups()
        self._seen_pulse = self._pulse.n_beats

    def _judge(self, slot: int) -> None:
        """Put a node where it belongs now."""
        rules, cell = self._rules, self._cells[slot]
        if (
            cell == _NONE
            or self._entries[slot] > FULL
            or (rules.has_node_rules and not rules.admit(slot))
            or (self._nominated and not rules.admit_beside_nominated(slot))
        ):
            group = _NONE
        elif rules.node_scores:
            values = tuple([score.node_value(slot) for score in rules.node_scores])
            group = self._group_for(slot, cell, values)
        else:
            group = cell
        old_group = self._groups[slot]
        if group == old_group:
            return
        if old_group != _NONE:
            self._leave(slot)
        if group != _NONE:
            self._enter(slot, group)

    def _judge_nominated(self) -> None:
        """Judge again the nodes with nominated pods.

        With those pods there a node may fail for what happens in its domains, which no log tells,
        or on other nodes, which no epoch tells: without those pods it may be as before.
        """
        for slot in self._state.nominated_slots:
            self._judge(slot)

    # Lineups

    def _enter(self, slot: int, group: int) -> None:
        """Put a node into a group, at the place that its entry says."""
        self._groups[slot] = group
        self._resize(group, +1)
        self._push(group, self._entries[slot])

    def _push(self, group: int, entry: int) -> None:
        n_moved = self._lineups[group].push(entry)
        if entry < self._tops[group]:
            self._settle(group)
        if n_moved > 4 * self._sizes[group] + 64:
            self._tidy(group)

    def _leave(self, slot: int) -> None:
        """Take a node out of its group."""
        group = self._groups[slot]
        self._groups[slot] = _NONE
        self._resize(group, -1)
        if self._order[self._tops[group] & _RANK] == slot:
            self._unsettled.append(group)
        if not self._sizes[group] and self._rules.node_scores:
            # Values like "three such pods" come and go; zones stay.
            key = self._group_keys[group]
            del self._group_ids[key]
            self._vacant.setdefault(key[0], []).append(group)

    def _resize(self, group: int, change: int) -> None:
        self._sizes[group] = size = self._sizes[group] + change
        if size == 0 or size == change:
            self._has_other_groups = True
        elif self._is_open[group]:
            self._n_feasible += change

    def _settle(self, group: int) -> None:
        """Bring to the top of a lineup what belongs there."""
        entry = self._lineups[group].settle(self._entries, self._groups, group, self._order)
        standings = self._standings
        place = standings.places.get(group)
        if place is not None:
            standings.keys[place] += entry - self._tops[group]
        self._tops[group] = entry

    def _tidy(self, group: int) -> None:
        """Have every node in a lineup just once."""
        entries, groups, order = self._entries, self._groups, self._order
        slots = {order[entry & _RANK] for entry in self._lineups[group]}
        members = [entries[slot] for slot in slots if groups[slot] == group]
        self._lineups[group].fill(np.array(members, dtype=np.int64))

    # Groups

    def _cell_of(self, key: Key) -> int:
        """Return the number of the nodes with that key; also their group, but for node values."""
        cell = self._cell_ids.get(key)
        if cell is None:
            cell = self._cell_ids[key] = len(self._cell_keys)
            self._cell_keys.append(key)
            if not self._rules.node_scores:
                self._new_group(cell, ())
        return cell

    def _group_of(self, cell: int, values: Key) -> int:
        group = self._group_ids.get((cell, values))
        return self._new_group(cell, values) if group is None else group

    def _group_for(self, slot: int, cell: int, values: Key) -> int:
        """Return the group of a node, which takes its own along when it is alone there."""
        group = self._group_ids.get((cell, values))
        if group is not None:
            return group
        own = self._groups[slot]
        if own == _NONE or self._sizes[own] > 1 or self._group_keys[own][0] != cell:
            return self._new_group(cell, values)
        del self._group_ids[self._group_keys[own]]
        self._name(own, cell, values)
        return own

    def _new_group(self, cell: int, values: Key) -> int:
        """Return a group of the cell that has become vacant, or a new one."""
        vacant = self._vacant.get(cell)
        if vacant:
            group = vacant.pop()
            self._lineups[group] = Lineup()
            self._settle(group)
        elif len(self._lineups) < _MAX_GROUPS:
            group = len(self._lineups)
            self._lineups.append(Lineup())
            self._tops.append(END)
            self._sizes.append(0)
            self._is_open.append(self._rules.is_open(self._cell_keys[cell]))
            self._group_keys.append((cell, values))
            self._openers.clear()
        else:
            raise TooManyGroupsError
        self._has_other_groups = True
        self._name(group, cell, values)
        return group

    def _name(self, group: int, cell: int, values: Key) -> None:
        self._group_ids[cell, values] = group
        self._group_keys[group] = cell, values
        self._n_renamed += 1

    def _open_groups(self) -> None:
        """Ask the hard rules over shared domains again."""
        rules, is_open = self._rules, self._is_open
        if not rules.shared_filters:
            return
        if not self._openers:
            keys = [self._cell_keys[cell] for cell, _ in self._group_keys]
            places = [place for place, _ in rules.shared_filters]
            self._openers = [picker([key[place] for key in keys]) for place in places]
        answers = [
            pick(rule.table().tolist())
            for pick, (_, rule) in zip(self._openers, rules.shared_filters, strict=True)
        ]
        now_open = list(answers[0])
        if len(answers) > 1:
            now_open = [all(row) for row in zip(*answers, strict=True)]
        if now_open != is_open:
            self._is_open = now_open
            self._has_other_groups = True

    def _count_groups(self) -> None:
        """List the groups that are open and hold a node, and weigh them."""
        self._has_other_groups = False
        sizes = self._sizes
        live = tuple([g for g in compress(count(), self._is_open) if sizes[g]])
        standings = self._known_standings.get(live)
        if standings is None:
            standings = self._known_standings[live] = self._stand(live)
        if standings is not self._standings:
            standings.start(self._tops)
            self._standings = standings
        self._n_feasible = sum(standings.pick(sizes))
        if standings.shares:
            self._weigh()

    def _stand(self, live: tuple[int, ...]) -> Standings:
        """Work out what depends on nothing but which groups take part."""
        rules, group_keys = self._rules, self._group_keys
        if len(self._known_standings) >= _MAX_STANDINGS:
            self._known_standings.clear()
            self._of_cells.clear()
        cells = tuple([group_keys[group][0] for group in live])
        known = self._of_cells.get(cells)
        if known is None:
            known = self._of_cells[cells] = self._look_at_cells(cells)
        static, pick_domains = known
        view = GroupsView(picker(live), self._sizes, pick_domains)
        # Where nobody is there is nothing to weigh.
        shares = [Share(score, weight) for score, weight, _ in rules.group_scores if live]
        may_change = bool(shares) and (len(live) > 1 or not rules.is_relative)
        return Standings(live, view, static, shares, may_change=may_change)

    def _look_at_cells(self, cells: tuple[int, ...]) -> tuple[list[int], dict[str, Picker]]:
        """Return what groups in these cells earn that never changes, and their domains."""
        rules = self._rules
        keys = [self._cell_keys[cell] for cell in cells]
        static = [0] * len(keys)
        for place, (rule, weight) in enumerate(rules.static_scores):
            shares = normalize_groups([key[place] for key in keys], rule.normalization)
            static = _add_shares(static, shares, weight)
        return static, pickers(keys, rules.place_in_key)

    def _weigh(self) -> None:
        """Normalise over the groups that are open and hold a node."""
        standings = self._standings
        if standings.n_renamed != self._n_renamed:
            standings.n_renamed = self._n_renamed
            standings.rename(self._values_of(standings.live))
        standings.weigh(self._n_feasible)

    def _values_of(self, groups: Sequence[int]) -> list[list[int]]:
        keys = [self._group_keys[group][1] for group in groups]
        return [
            [] if index is None else [key[index] for key in keys]
            for _, _, index in self._rules.group_scores
        ]

    # Starting over

    def _start(self) -> None:
        """Judge every node at once."""
        state, rules = self._state, self._rules
        rules.refresh()
        # Without groups that open and shut no beat means anything.
        self._pulse = state.census.pulse if rules.shared_filters else Pulse()
        self._seen_nodes, self._seen_usage = state.node_log.end, state.usage_log.end
        self._seen_census = self._census.version
        self._seen_epoch, self._seen_bases = rules.epoch(), rules.bases()
        self._seen_pulse = self._seen_filters = -1
        self._has_other_groups = True
        self._known_standings, self._of_cells, self._openers = {}, {}, []
        self._n_feasible = 0
        self._cared_for.clear()
        self._unsettled.clear()
        self._latest = 0
        self._cell_ids, self._cell_keys = {}, []
        self._group_ids, self._group_keys, self._vacant = {}, [], {}
        self._lineups, self._tops = [], []
        self._sizes, self._is_open = [], []
        self._standings = _nobody()

        order = self._book.order
        order.fit(state.slots)
        self._order = order.slots
        looks = rules.look(slice(None), order.ranks)
        self._worth = self._book.lend(rules.size, rules, looks.bases)
        self._entries, self._seen_news = self._worth.of_slot, self._worth.news.end
        entries = self._worth.to_array()

        fit = np.flatnonzero(looks.passes)
        cells = np.full(state.n_slots, _NONE, dtype=np.int64)
        keys, codes = _distinct([part[fit] for part in looks.key], len(fit))
        cells[fit] = np.array([self._cell_of(key) for key in keys], dtype=np.int64)[codes]
        self._cells = memoryview(cells.data)

        slots = fit[(entries[fit] < FULL) & rules.admit_all(fit)]
        found = cells[slots]
        if rules.node_scores:
            parts = [cells, *(score.node_values() for score in rules.node_scores)]
            keys, codes = _distinct([part[slots] for part in parts], len(slots))
            found = np.array([self._group_of(key[0], key[1:]) for key in keys], dtype=np.int64)
            found = found[codes]
        groups = np.full(state.n_slots, _NONE, dtype=np.int64)
        groups[slots] = found
        self._groups = groups.tolist()
        self._fill(found, entries[slots])

    def _fill(self, groups: Ints, entries: Ints) -> None:
        """Line up the nodes of each group."""
        for group, lineup in enumerate(self._lineups):
            members = entries if len(self._lineups) == 1 else entries[groups == group]
            lineup.fill(members)
            self._sizes[group] = len(lineup)
            self._tops[group] = int(members.min(initial=END))


def _nobody() -> Standings:
    """Return how no groups stand."""
    return Standings((), GroupsView(picker(()), [], {}), [], [], may_change=False)


def _add_shares(bonuses: list[int], shares: list[int], weight: int) -> list[int]:
    unit = weight << RANK_BITS
    return [bonus + unit * share for bonus, share in zip(bonuses, shares, strict=True)]


def _distinct(parts: list[Ints], length: int) -> tuple[list[Key], Ints]:
    """Return the distinct rows of some columns, and the index of each node's row among them."""
    codes: Ints = np.zeros(length, dtype=np.int64)
    for place, part in enumerate(parts):
        _, part_codes = _distinct_values(part)
        if place == 0:
            codes = part_codes
            continue
        codes = codes * (int(part_codes.max(initial=0)) + 1) + part_codes
        _, codes = _distinct_values(codes)
    n_rows = int(codes.max(initial=-1)) + 1
    first = np.zeros(n_rows, dtype=np.int64)
    first[codes[::-1]] = np.arange(length - 1, -1, -1)
    columns = [part[first].tolist() for part in parts]
    return (list(zip(*columns, strict=True)) if columns else [()] * n_rows), codes


def _distinct_values(values: Ints) -> tuple[Ints, Ints]:
    """Return the distinct values, and the index of each one; small values need no sorting."""
    if not len(values):
        return values, values
    low = int(values.min())
    span = int(values.max()) - low + 1
    if span > 4 * len(values) + 64:
        distinct, codes = np.unique(values, return_inverse=True)
        return distinct, codes.astype(np.int64)
    is_met = np.zeros(span, dtype=bool)
    is_met[values - low] = True
    code_of = np.cumsum(is_met) - 1
    return np.flatnonzero(is_met) + low, code_of[values - low]
