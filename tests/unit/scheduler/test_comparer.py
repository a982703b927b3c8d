from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.scheduler.fake_api import node, pod

from kubeberth.api.core import Node, Pod
from kubeberth.placement.delta import NodeRemoved, PodRemoved
from kubeberth.scheduler.cache import Cache
from kubeberth.scheduler.comparer import drift
from kubeberth.scheduler.queue import SchedulingQueue


def to_pod(name: str, **spec: Any) -> Pod:
    return msgspec.convert(pod(name, **spec), Pod)


class Books:
    """Two nodes, one pod on one of them and one that waits; told and kept."""

    def __init__(self) -> None:
        self.nodes = {name: msgspec.convert(node(name), Node) for name in ("a", "b")}
        found = [to_pod("placed", nodeName="a"), to_pod("waits")]
        self.pods = {pod.metadata.key: pod for pod in found}
        self.cache = Cache()
        self.queue = SchedulingQueue(lambda _: False)
        for item in self.nodes.values():
            self.cache.put(item)
        self.cache.put_pod(found[0])
        self.queue.put(found[1], 0.0, {})

    def drift(self) -> list[str]:
        return drift(self.cache, self.queue, self.nodes, self.pods, lambda _: True)


def test_books_that_are_in_order_differ_in_nothing() -> None:
    assert Books().drift() == []


def test_what_is_assumed_is_in_order() -> None:
    books = Books()
    books.cache.assume(books.pods["default/waits"], "b")
    assert books.drift() == []
    books.queue.remove("default/waits")
    assert books.drift() == []


def lose_node(books: Books) -> None:
    books.cache.state.apply(NodeRemoved("b"))


def miss_node_removal(books: Books) -> None:
    del books.nodes["b"]


def miss_node_change(books: Books) -> None:
    books.nodes["b"] = msgspec.convert(node("b", cpu="9"), Node)


def lose_placed(books: Books) -> None:
    books.cache.state.apply(PodRemoved("default/placed"))


def miss_move(books: Books) -> None:
    books.pods["default/placed"] = to_pod("placed", nodeName="b")


def miss_pod_removal(books: Books) -> None:
    del books.pods["default/placed"]


def lose_pending(books: Books) -> None:
    books.queue.remove("default/waits")


def miss_pending_removal(books: Books) -> None:
    del books.pods["default/waits"]


def miscount(books: Books) -> None:
    state = books.cache.state
    slot = state.slot_of("a")
    assert slot is not None
    state.loads[slot] += 1 << 64


@pytest.mark.parametrize(
    ("go_wrong", "line"),
    [
        (lose_node, "node b is missing from the cache"),
        (miss_node_removal, "node b is in the cache and nowhere else"),
        (miss_node_change, "node b is out of date in the cache"),
        (lose_placed, "pod default/placed on node a is missing from the cache"),
        (miss_move, "pod default/placed is on node b, in the cache on a"),
        (miss_pod_removal, "pod default/placed is in the cache on node a and nowhere else"),
        (lose_pending, "pod default/waits has no node and is missing from the queue"),
        (miss_pending_removal, "pod default/waits is in the queue and nowhere else"),
        (miscount, "node a counts 101 of cpu, its pods take 100"),
    ],
)
def test_every_kind_of_drift_is_found(go_wrong: Any, line: str) -> None:
    books = Books()
    go_wrong(books)
    assert books.drift() == [line]
