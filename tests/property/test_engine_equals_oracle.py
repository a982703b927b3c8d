"""The engine and the plain evaluator agree, whatever happens to the cluster in between."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.oracle.evaluator import evaluate
from tests.oracle.objects import Cluster
from tests.oracle.settings import read_settings
from tests.property.strategies import (
    CONTROLLERS,
    NAMESPACES,
    NODE_NAMES,
    POD_KEYS,
    label_selectors,
    namespace_labels,
    nodes,
    pods,
    profiles,
)

from kubeberth.api.core import Node, Pod
from kubeberth.api.meta import LabelSelector
from kubeberth.api.scheduler_config import GROUP_VERSION, KIND
from kubeberth.placement.config.profiles import to_profiles
from kubeberth.placement.config.validation import decode_configuration
from kubeberth.placement.delta import (
    ControllerPut,
    ControllerRemoved,
    NamespacePut,
    NamespaceRemoved,
    NodePut,
    NodeRemoved,
    PodPut,
    PodRemoved,
    ServicePut,
    ServiceRemoved,
)
from kubeberth.placement.engine import Engine
from kubeberth.placement.explain import explain
from kubeberth.placement.profile import Profile, default_profile
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import Shuffled
from kubeberth.placement.vocabulary import PODS

N_STEPS = 150


class History:
    """Nodes and pods come, change and go; every pod is placed by both, and must go the same way.

    What is kept between decisions is kept per template and term, so the same few templates come
    again and again: pods that never come twice would not notice when it is stale.
    """

    def __init__(
        self,
        templates: list[Pod],
        looks: list[list[Node]],
        labels: list[dict[str, str]],
        selectors: list[LabelSelector],
        random: Random,
        profile: dict[str, Any] | None = None,
    ) -> None:
        self.templates, self.looks, self.labels, self.random = templates, looks, labels, random
        self.selectors = selectors
        self.state = ClusterState()
        self.cluster = Cluster()
        self.profile = default_profile()
        if profile is not None:
            self.cluster.settings = read_settings(profile)
            self.profile = to_profile(profile)
        self.engine = Engine(self.state, self.profile, Shuffled(random.randrange(1000)))
        self.n_pods = 0

    def run(self) -> None:
        for _ in range(4):
            self.put_node()
        steps = (self.place, self.put_node, self.remove_pod, self.bind_by_hand)
        rare = (self.remove_node, self.label_namespace, self.remove_namespace)
        spread = (self.put_service, self.put_controller, self.terminate_pod)
        odds = (10, 3, 3, 1, 1, 1, 0.3, 0.5, 0.5, 1)
        for _ in range(N_STEPS):
            step = self.random.choices((*steps, *rare, *spread), odds)[0]
            step()
            self.check_sums()

    def put_node(self) -> None:
        node = self.random.choice(self.random.choice(self.looks))
        self.cluster.nodes[node.name] = node
        self.state.apply(NodePut(node))

    def remove_node(self) -> None:
        name = self.random.choice(NODE_NAMES)
        self.cluster.nodes.pop(name, None)
        self.state.apply(NodeRemoved(name))

    def label_namespace(self) -> None:
        name, labels = self.random.choice(NAMESPACES), self.random.choice(self.labels)
        self.cluster.namespaces[name] = labels
        self.state.apply(NamespacePut(name, labels))

    def remove_namespace(self) -> None:
        name = self.random.choice(NAMESPACES)
        self.cluster.namespaces.pop(name, None)
        self.state.apply(NamespaceRemoved(name))

    def put_service(self) -> None:
        """Create, change or delete a Service."""
        key = (self.random.choice(NAMESPACES), self.random.choice("pq"))
        selector = self.random.choice([*(t.metadata.labels for t in self.templates), None])
        if selector is None:
            self.cluster.services.pop(key, None)
            self.state.apply(ServiceRemoved(*key))
        else:
            self.cluster.services[key] = selector
            self.state.apply(ServicePut(*key, selector))

    def put_controller(self) -> None:
        """Create, change or delete what manages some of the pods."""
        kind = self.random.choice(CONTROLLERS)[0]
        key = (kind, self.random.choice(NAMESPACES), "owner")
        selector = self.random.choice([*self.selectors, None])
        if selector is None:
            self.cluster.controllers.pop(key, None)
            self.state.apply(ControllerRemoved(*key))
            return
        if kind == "ReplicationController":
            selector = LabelSelector(match_labels=selector.match_labels)
        self.cluster.controllers[key] = selector
        self.state.apply(ControllerPut(*key, selector))

    def terminate_pod(self) -> None:
        if self.cluster.pods:
            pod, node_name = self.cluster.pods[self.random.choice(sorted(self.cluster.pods))]
            meta = msgspec.structs.replace(pod.metadata, deletion_timestamp="2026-01-01T00:00:00Z")
            self.put_pod(msgspec.structs.replace(pod, metadata=meta), node_name)

    def bind_by_hand(self) -> None:
        """Put a pod anywhere, be it on a node that is full or not there."""
        self.put_pod(self.new_pod(), self.random.choice(NODE_NAMES))

    def remove_pod(self) -> None:
        if self.cluster.pods:
            key = self.random.choice(sorted(self.cluster.pods))
            del self.cluster.pods[key]
            self.state.apply(PodRemoved(key))

    def place(self) -> None:
        if not self.cluster.nodes:
            return
        pod = self.new_pod()
        answer = evaluate(self.cluster, pod)
        decision = self.engine.place(pod)
        story = explain(self.state, pod, self.profile)
        rejected = {n: (r.plugin, tuple(sorted(r.reasons))) for n, r in story.rejected.items()}
        assert rejected == answer.rejected
        assert story.scores == answer.scores
        if decision.node is None:
            assert len(answer.rejected) == len(self.cluster.nodes)
            assert decision.failure == story.failure
            return
        assert decision.node in answer.best
        assert decision.n_feasible == len(self.cluster.nodes) - len(answer.rejected)
        assert decision.score == answer.totals[decision.node] or decision.n_feasible == 1
        self.put_pod(pod, decision.node)

    def new_pod(self) -> Pod:
        self.n_pods += 1
        template = self.random.choice(self.templates)
        meta = msgspec.structs.replace(template.metadata, name=f"pod-{self.n_pods}")
        return msgspec.structs.replace(template, metadata=meta)

    def put_pod(self, pod: Pod, node_name: str) -> None:
        self.cluster.pods[pod.metadata.key] = (pod, node_name)
        self.state.apply(PodPut(pod, node_name))

    def check_sums(self) -> None:
        for name in self.cluster.nodes:
            slot = self.state.slot_of(name)
            assert slot is not None
            assert self.state.requested[PODS, slot] == len(self.cluster.on(name))


def to_profile(profile: dict[str, Any]) -> Profile:
    document = {"apiVersion": GROUP_VERSION, "kind": KIND, "profiles": [profile]}
    (found,) = to_profiles(decode_configuration(document))
    return found


@given(
    templates=st.lists(pods("template"), min_size=6, max_size=6),
    looks=st.tuples(*(st.lists(nodes(n), min_size=3, max_size=3) for n in NODE_NAMES)),
    labels=st.lists(namespace_labels, min_size=2, max_size=2),
    selectors=st.lists(label_selectors(POD_KEYS, ["a", "b", "x", "y"]), min_size=2, max_size=2),
    seed=st.integers(0, 2**32),
    profile=st.one_of(st.none(), profiles()),
)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_engine_and_plain_evaluator_agree_through_any_history_under_any_configuration(
    templates: list[Pod],
    looks: tuple[list[Node], ...],
    labels: list[dict[str, str]],
    selectors: list[dict[str, Any]],
    seed: int,
    profile: dict[str, Any] | None,
) -> None:
    typed = msgspec.convert(selectors, list[LabelSelector])
    History(templates, list(looks), labels, typed, Random(seed), profile).run()
