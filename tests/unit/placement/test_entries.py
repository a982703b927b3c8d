"""What nodes are worth by their room is known once for all pods that ask for the same."""

from __future__ import annotations

import numpy as np
from tests.unit.placement.builders import Cluster, make_node, make_pod

from kubeberth.placement.entries import FULL, Entries, EntriesBook, Ints
from kubeberth.placement.loads import unpack
from kubeberth.placement.ties import FirstAdded, Order
from kubeberth.placement.vocabulary import PODS

LIMIT = 3


class FewestPods:
    """Prefers nodes with few pods, or with many, and finds room for `LIMIT`."""

    def __init__(self, cluster: Cluster, sign: int = 1) -> None:
        self._state, self._sign = cluster.state, sign

    def judge_load(self, load: int) -> int:
        n_pods = unpack(load, len(self._state.resources))[PODS]
        return 1 << 60 if n_pods >= LIMIT else 1000 + self._sign * n_pods << 20

    def judge_loads(self) -> Ints:
        return np.array([self.judge_load(load) for load in self._state.loads], dtype=np.int64)


class Room:
    """Three nodes, and what they are worth."""

    def __init__(self, sign: int = 1) -> None:
        self.cluster = Cluster(*(make_node(name) for name in "abc"))
        order = Order(FirstAdded())
        order.fit(self.cluster.state.slots)
        self.judge = FewestPods(self.cluster, sign)
        self.book = EntriesBook(self.cluster.state, order)
        self.n_pods = 0

    def lend(self, size: str = "small", bonus_of_b: int = 0) -> Entries:
        bases = self.book.order.ranks.astype(np.int64)
        bases[1] -= bonus_of_b
        return self.book.lend(size, self.judge, bases)

    def fill(self, node: str, n_pods: int) -> None:
        for _ in range(n_pods):
            self.n_pods += 1
            self.cluster.bind(make_pod(f"pod-{self.n_pods}"), node)


def news_of(entries: Entries, since: int) -> list[int] | None:
    entries.follow()
    return entries.news.since(since, 100)


def test_pods_of_one_size_share_their_entries() -> None:
    room = Room()
    entries = room.lend("small")
    assert room.lend("small") is entries
    assert room.lend("large") is not entries


def test_a_template_to_which_some_nodes_look_better_has_entries_of_its_own() -> None:
    room = Room()
    entries = room.lend("small", bonus_of_b=100)
    assert room.lend("small", bonus_of_b=100) is not entries
    assert entries.rebase(np.array([1]), np.array([1]))
    assert entries.of_slot == room.lend("small").of_slot


def test_shared_entries_do_not_follow_the_looks_of_a_node() -> None:
    entries = Room().lend("small")
    assert entries.rebase(np.array([1]), np.array([1]))
    assert not entries.rebase(np.array([1]), np.array([-99]))


def test_entries_that_were_followed_are_those_that_are_worked_out_at_once() -> None:
    room = Room()
    entries = room.lend("small")
    for node, n_pods in (("a", 1), ("b", 2), ("a", 1)):
        room.fill(node, n_pods)
        entries.follow()
        assert entries.of_slot == room.lend("of another name").of_slot
        assert entries.to_array().tolist() == entries.of_slot


def test_a_node_that_becomes_worse_is_no_news() -> None:
    room = Room()
    entries = room.lend()
    room.fill("a", 1)
    assert news_of(entries, since=0) == []


def test_a_node_that_becomes_better_or_full_is_news() -> None:
    room = Room(sign=-1)
    entries = room.lend()
    room.fill("b", 1)
    assert news_of(entries, since=0) == [1]
    room.fill("c", LIMIT)
    assert news_of(entries, since=1) == [2, 2, 2]
    assert [entry > FULL for entry in entries.of_slot[:3]] == [False, False, True]


def test_entries_take_in_nodes_that_come() -> None:
    room = Room()
    entries = room.lend()
    room.cluster.put(*(make_node(f"new-{index}") for index in range(100)))
    room.book.order.fit(room.cluster.state.slots)
    assert room.lend() is entries
    assert len(entries.of_slot) == room.cluster.state.n_slots
