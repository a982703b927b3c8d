"""The engine and the plain evaluator agree, whatever happens to the cluster in between."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.oracle.evaluator import Cluster, evaluate
from tests.property.strategies import NAMESPACES, NODE_NAMES, namespace_labels, nodes, pods

from kubeberth.placement.delta import (
    NamespacePut,
    NamespaceRemoved,
    NodePut,
    NodeRemoved,
    PodPut,
    PodRemoved,
)
from kubeberth.placement.engine import Engine
from kubeberth.placement.explain import explain
from kubeberth.placement.profile import Profile
from kubeberth.placement.select import SeededSelect
from kubeberth.placement.state import ClusterState


class AnyHistory(RuleBasedStateMachine):
    """Nodes and pods come, change and go; every pod is placed by both, and must go the same way."""

    def __init__(self) -> None:
        super().__init__()
        self.state = ClusterState()
        self.cluster = Cluster()
        self.profile = Profile()
        self.engine = Engine(self.profile, SeededSelect(np.random.default_rng(0)))
        self.n_pods = 0

    @rule(data=st.data(), name=st.sampled_from(NODE_NAMES))
    def put_node(self, data: st.DataObject, name: str) -> None:
        node = data.draw(nodes(name))
        self.cluster.nodes[name] = node
        self.state.apply(NodePut(node))

    @rule(name=st.sampled_from(NODE_NAMES))
    def remove_node(self, name: str) -> None:
        self.cluster.nodes.pop(name, None)
        self.state.apply(NodeRemoved(name))

    @rule(name=st.sampled_from(NAMESPACES), labels=namespace_labels)
    def label_namespace(self, name: str, labels: dict[str, str]) -> None:
        self.cluster.namespaces[name] = labels
        self.state.apply(NamespacePut(name, labels))

    @rule(name=st.sampled_from(NAMESPACES))
    def remove_namespace(self, name: str) -> None:
        self.cluster.namespaces.pop(name, None)
        self.state.apply(NamespaceRemoved(name))

    @rule(data=st.data(), name=st.sampled_from(NODE_NAMES))
    def bind_by_hand(self, data: st.DataObject, name: str) -> None:
        """Somebody binds a pod wherever they like, be it to a node that is not there."""
        self._put(data.draw(pods(self._new_name())), name)

    @precondition(lambda self: self.cluster.pods)
    @rule(data=st.data())
    def remove_pod(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.cluster.pods)))
        del self.cluster.pods[key]
        self.state.apply(PodRemoved(key))

    @rule(data=st.data(), times=st.integers(1, 3))
    def place(self, data: st.DataObject, times: int) -> None:
        """Place a pod, and perhaps some more of its kind."""
        template = data.draw(pods("template"))
        for _ in range(times):
            meta = type(template.metadata)(
                name=self._new_name(),
                namespace=template.metadata.namespace,
                labels=template.metadata.labels,
            )
            self._place(type(template)(metadata=meta, spec=template.spec))

    @invariant()
    def sums_are_those_of_the_pods(self) -> None:
        for name in self.cluster.nodes:
            slot = self.state.slot_of(name)
            assert slot is not None
            assert self.state.requested[3, slot] == len(self.cluster.on(name))

    def _new_name(self) -> str:
        self.n_pods += 1
        return f"pod-{self.n_pods}"

    def _put(self, pod, node_name: str) -> None:  # type: ignore[no-untyped-def]
        self.cluster.pods[pod.metadata.key] = (pod, node_name)
        self.state.apply(PodPut(pod, node_name))

    def _place(self, pod) -> None:  # type: ignore[no-untyped-def]
        if not self.cluster.nodes:
            return
        answer = evaluate(self.cluster, pod)
        decision = self.engine.place(self.state, pod)
        story = explain(self.state, pod, self.profile)
        rejected = {n: (r.plugin, tuple(sorted(r.reasons))) for n, r in story.rejected.items()}
        assert rejected == answer.rejected
        assert story.scores == answer.scores
        if decision.node is None:
            assert len(answer.rejected) == len(self.cluster.nodes)
            assert decision.failure == story.failure
            return
        assert decision.node in answer.best
        assert decision.n_best == len(answer.best) or decision.n_feasible == 1
        assert decision.score in (answer.totals[decision.node], None)
        self._put(pod, decision.node)


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
