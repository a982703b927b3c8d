"""What is said to help does help, on random clusters; and what is in conflict is so minimally."""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.property.strategies import nodes, pods

from kubeberth.api import schema
from kubeberth.api.core import Node, Pod
from kubeberth.api.machines import cordoned
from kubeberth.apiserver.patch.strategic import apply_strategic_patch
from kubeberth.placement.delta import NodePut, PodPut, PodRemoved
from kubeberth.placement.engine import Engine
from kubeberth.placement.profile import default_profile
from kubeberth.placement.remedies.conflict import find_conflict, rules_of
from kubeberth.placement.remedies.remedy import Remedy
from kubeberth.placement.remedies.search import find_remedies
from kubeberth.placement.state import ClusterState
from kubeberth.placement.verdicts import judge

PROFILE = default_profile()
FLAVOURS = ["pods", "nodes", "spread", "resources", "everything"]
# What they come to takes more than an engine; tests/property/test_remedies_applied.py does them.
UNTYPED = {"add-node", "add-volume", "repair-node", "raise-priority"}


@st.composite
def stuck_pods(draw: st.DrawFn) -> tuple[ClusterState, Pod]:
    """Return a cluster, some pods on it, and a pod that may well fit nowhere."""
    state = ClusterState()
    for index in range(draw(st.integers(1, 5))):
        state.apply(NodePut(draw(nodes(f"node-{index}"))))
    engine = Engine(state, PROFILE)
    placed = [draw(pods(f"pod-{index}", FLAVOURS)) for index in range(draw(st.integers(0, 8)))]
    for decision, pod in zip(engine.place_all(placed), placed, strict=True):
        if decision.node is not None:
            state.apply(PodPut(pod, decision.node))
    return state, draw(pods("asked", FLAVOURS))


def carried_out(state: ClusterState, pod: Pod, remedy: Remedy) -> tuple[ClusterState, Pod]:
    """Return cluster and pod as they are once somebody has done what a remedy says."""
    after = state.fork()
    for command in (line for lines in remedy.commands for line in lines.splitlines()):
        match command.split():
            case ["kubectl", "label", "node", name, label, *_]:
                after.apply(NodePut(labelled(node_of(after, name), label)))
            case ["kubectl", "taint", "node", name, taint]:
                after.apply(NodePut(untainted(node_of(after, name), taint.removesuffix("-"))))
            case ["kubectl", "uncordon", name]:
                after.apply(NodePut(cordoned(node_of(after, name), is_cordoned=False)))
            case ["kubectl", "delete", "pod", name, "-n", namespace]:
                after.apply(PodRemoved(f"{namespace}/{name}"))
            case ["kubectl", "delete", "pod", name]:
                after.apply(PodRemoved(f"default/{name}"))
    document = {"spec": msgspec.to_builtins(pod.spec)}
    definition = schema.definition_of("v1", "Pod")
    patched = apply_strategic_patch(document, {"spec": remedy.patch}, definition)
    spec = msgspec.convert(patched["spec"], type(pod.spec))
    return after, msgspec.structs.replace(pod, spec=spec)


def node_of(state: ClusterState, name: str) -> Node:
    slot = state.slot_of(name)
    assert slot is not None
    return state.node(slot)


def labelled(node: Node, label: str) -> Node:
    key, is_set, value = label.partition("=")
    labels = {k: v for k, v in node.metadata.labels.items() if k != key.removesuffix("-")}
    if is_set:
        labels[key] = value
    meta = msgspec.structs.replace(node.metadata, labels=labels)
    return msgspec.structs.replace(node, metadata=meta)


def untainted(node: Node, taint: str) -> Node:
    kept = tuple(t for t in node.spec.taints if f"{t.key}:{t.effect}" != taint)
    return msgspec.structs.replace(node, spec=msgspec.structs.replace(node.spec, taints=kept))


@given(stuck_pods())
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_whoever_does_what_is_suggested_sees_the_pod_placed(
    found: tuple[ClusterState, Pod],
) -> None:
    state, pod = found
    before = Engine(state, PROFILE).place(pod)
    remedies = find_remedies(state, pod, PROFILE)
    assert Engine(state, PROFILE).place(pod) == before, "to look for remedies changes nothing"
    if before.node is not None:
        assert remedies == ()
    for remedy in remedies:
        if UNTYPED.isdisjoint(remedy.kinds):
            after, changed = carried_out(state, pod, remedy)
            assert Engine(after, PROFILE).place(changed).node == remedy.node, remedy
    assert [r.effort for r in remedies] == sorted(r.effort for r in remedies)


@given(stuck_pods())
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_a_conflict_is_one_and_no_smaller_one_is_in_it(found: tuple[ClusterState, Pod]) -> None:
    state, pod = found
    conflict = find_conflict(state, pod, PROFILE)
    if conflict is None:
        return
    blamed = {rule.text for rule in conflict.rules}
    rules = list(rules_of(state, pod))
    innocent = [rule for rule in rules if rule.text not in blamed]

    def fits_without(dropped: list[object]) -> bool:
        asked = pod
        for rule in rules:
            if rule in dropped:
                asked = rule.dropped(asked)
        verdicts = judge(state, state.request(asked), PROFILE, "default/asked")
        return verdicts.refused is None and bool(verdicts.passes.any())

    assert not fits_without([*innocent])
    for rule in rules:
        if rule.text in blamed:
            assert fits_without([*innocent, rule]), (rule.text, blamed)
