"""Pods of one template that are decided together go where they would have gone one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property.strategies import NODE_NAMES, nodes, pods

from kubeberth.api.core import Pod
from kubeberth.errors import InvalidObjectError
from kubeberth.placement.decision import Decision
from kubeberth.placement.delta import NodePut, Nominated, NominationCleared, PodPut
from kubeberth.placement.engine import Engine
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import Shuffled

BATCH = 8

Decide = Callable[[ClusterState, Engine, list[Pod]], Iterator[Decision]]


def one_by_one(_: ClusterState, engine: Engine, batch: list[Pod]) -> Iterator[Decision]:
    return map(engine.place, batch)


def together(state: ClusterState, engine: Engine, batch: list[Pod]) -> Iterator[Decision]:
    return engine.place_alike(state.request(batch[0]), [pod.metadata.key for pod in batch])


def story(state: ClusterState, batch: list[Pod], decide: Decide) -> list[Decision]:
    """Return what is decided, with each decision carried out before the next."""
    engine, told = Engine(state, ties=Shuffled(1)), []
    for pod, decision in zip(batch, decide(state, engine, batch), strict=True):
        told.append(decision)
        key, slot = pod.metadata.key, state.slot_of(decision.node or "")
        if slot is not None:
            labels, request = pod.metadata.labels, state.request(pod)
            state.assume(key, labels, request, slot, decision.reservations)
        elif decision.nomination is not None:
            state.apply(Nominated(pod, decision.nomination.node))
        elif decision.failure is not None and not decision.failure.keeps_nomination:
            state.apply(NominationCleared(key))
    return told


def copies(pod: Pod, numbers: Iterable[int]) -> list[Pod]:
    meta, replace = pod.metadata, msgspec.structs.replace
    return [replace(pod, metadata=replace(meta, name=f"copy-{number}")) for number in numbers]


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_batch_is_decided_as_its_pods_would_be_one_by_one(data: st.DataObject) -> None:
    state = ClusterState()
    names = NODE_NAMES[: data.draw(st.integers(1, 5))]
    state.apply_all(NodePut(data.draw(nodes(name))) for name in names)
    for index in range(data.draw(st.integers(0, 8))):
        placed = data.draw(pods(f"placed-{index}"))
        try:
            state.apply(PodPut(placed, data.draw(st.sampled_from(names))))
        except InvalidObjectError:
            continue
    drawn = copies(data.draw(pods("template")), range(BATCH))
    try:
        request = state.request(drawn[0])
    except InvalidObjectError:
        return
    # Each has claims of its own where its volumes are made for it: no two are of one template.
    batch = [pod for pod in drawn if state.request(pod) is request]
    for index in data.draw(st.sets(st.integers(0, len(batch) - 1), max_size=2)):
        state.apply(Nominated(batch[index], data.draw(st.sampled_from(names))))
    expected = story(state.fork(), batch, one_by_one)
    assert story(state.fork(), batch, together) == expected
