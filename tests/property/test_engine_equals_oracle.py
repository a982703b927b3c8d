"""The engine and the plain evaluator agree, whatever happens to the cluster in between."""

from __future__ import annotations

import os
from random import Random
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.oracle import storage
from tests.oracle.evaluator import evaluate
from tests.oracle.objects import Cluster
from tests.oracle.preemption import preempt
from tests.oracle.settings import read_settings
from tests.property.storage_strategies import ALWAYS_THERE, storage_objects
from tests.property.strategies import (
    CONTROLLERS,
    NAMESPACES,
    NODE_NAMES,
    POD_KEYS,
    budgets,
    label_selectors,
    namespace_labels,
    nodes,
    pods,
    profiles,
)

from kubeberth.api.core import Node, Pod
from kubeberth.api.meta import Condition, LabelSelector
from kubeberth.api.policy import PodDisruptionBudget
from kubeberth.api.scheduler_config import GROUP_VERSION, KIND
from kubeberth.api.storage import StorageObject
from kubeberth.placement.config.profiles import to_profiles
from kubeberth.placement.config.validation import decode_configuration
from kubeberth.placement.decision import Decision, Nomination
from kubeberth.placement.delta import (
    ControllerPut,
    ControllerRemoved,
    NamespacePut,
    NamespaceRemoved,
    NodePut,
    NodeRemoved,
    Nominated,
    NominationCleared,
    PdbPut,
    PdbRemoved,
    PodPut,
    PodRemoved,
    ServicePut,
    ServiceRemoved,
    StoragePut,
    StorageRemoved,
)
from kubeberth.placement.engine import Engine
from kubeberth.placement.explain import explain
from kubeberth.placement.explanation import Explanation
from kubeberth.placement.profile import Profile, default_profile
from kubeberth.placement.reservation import BindClaim, ProvisionClaim
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import Shuffled
from kubeberth.placement.vocabulary import PODS

# 112,000 steps in all. `HISTORIES=15000 STEPS=600` drives ten million; that takes hours.
N_STEPS = int(os.environ.get("STEPS", "150"))
N_HISTORIES = int(os.environ.get("HISTORIES", "670"))


def at_length(n_histories: int) -> settings:
    """Return settings for so many histories; they are too long for shrinking to come to an end."""
    return settings(
        max_examples=n_histories,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


class History:
    """Nodes and pods come, change and go; every pod is placed by both, and must go the same way.

    What is kept between decisions is kept per template and term, so the same few templates come
    again and again: pods that never come twice would not notice when it is stale.
    """

    node_names = NODE_NAMES

    def __init__(
        self,
        templates: list[Pod],
        looks: list[list[Node]],
        labels: list[dict[str, str]],
        selectors: list[LabelSelector],
        budgets: list[PodDisruptionBudget],
        stored: list[StorageObject],
        random: Random,
        profile: dict[str, Any] | None = None,
    ) -> None:
        self.templates, self.looks, self.labels, self.random = templates, looks, labels, random
        self.selectors, self.budgets, self.stored = selectors, budgets, stored
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
        for item in (*ALWAYS_THERE, *self.stored):
            self.put_storage(item)
        steps = (self.place, self.put_node, self.remove_pod, self.bind_by_hand)
        rare = (self.remove_node, self.label_namespace, self.remove_namespace)
        spread = (self.put_service, self.put_controller, self.terminate_pod)
        of_preemption = (self.place_nominated, self.give_up, self.put_budget, self.remove_budget)
        of_storage = (self.change_storage, self.remove_storage)
        every = (*steps, *rare, *spread, *of_preemption, *of_storage)
        odds = (10, 3, 3, 1, 1, 1, 0.3, 0.5, 0.5, 1, 3, 0.5, 1, 0.5, 2, 0.3)
        for _ in range(N_STEPS):
            step = self.random.choices(every, odds)[0]
            step()
            self.check_sums()

    def put_node(self) -> None:
        node = self.random.choice(self.random.choice(self.looks))
        self.cluster.put_node(node)
        self.state.apply(NodePut(node))

    def remove_node(self) -> None:
        name = self.random.choice(self.node_names)
        self.cluster.remove_node(name)
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

    def change_storage(self) -> None:
        self.put_storage(self.random.choice(self.stored))

    def put_storage(self, item: StorageObject) -> None:
        self.cluster.stored.put(item)
        self.state.apply(StoragePut(item))

    def remove_storage(self) -> None:
        item = self.random.choice((*ALWAYS_THERE, *self.stored))
        self.cluster.stored.remove(type(item), item.metadata.key)
        self.state.apply(StorageRemoved(type(item), item.metadata.key))

    def bind_by_hand(self) -> None:
        """Put a pod anywhere, be it on a node that is full or not there."""
        self.put_pod(self.new_pod(), self.random.choice(self.node_names))

    def remove_pod(self) -> None:
        if self.cluster.pods:
            self.delete_pod(self.random.choice(sorted(self.cluster.pods)))

    def delete_pod(self, key: str) -> None:
        del self.cluster.pods[key]
        self.cluster.stored.promises.pop(key, None)
        self.state.apply(PodRemoved(key))

    def put_budget(self) -> None:
        budget = self.random.choice(self.budgets)
        self.cluster.budgets[budget.metadata.key] = budget
        self.state.apply(PdbPut(budget))

    def remove_budget(self) -> None:
        key = self.random.choice(self.budgets).metadata.key
        self.cluster.budgets.pop(key, None)
        self.state.apply(PdbRemoved(key))

    def place(self) -> None:
        self.decide(self.new_pod())

    def place_nominated(self) -> None:
        """Try again one of the pods that wait for room on a node."""
        if self.cluster.nominated:
            key = self.random.choice(sorted(self.cluster.nominated))
            self.decide(self.cluster.nominated[key][0])

    def give_up(self) -> None:
        """Clear a nomination, as when its pod is deleted."""
        if self.cluster.nominated:
            key = self.random.choice(sorted(self.cluster.nominated))
            self.clear_nomination(key)

    def clear_nomination(self, key: str) -> None:
        self.cluster.nominated.pop(key, None)
        self.state.apply(NominationCleared(key))

    def decide(self, pod: Pod) -> None:
        if not self.cluster.nodes:
            return
        answer = evaluate(self.cluster, pod)
        decision = self.engine.place(pod)
        story = explain(self.state, pod, self.profile)
        if answer.refused is not None:
            assert story.refused is not None
            assert (story.refused.plugin, story.refused.reasons) == answer.refused
            assert decision.failure == story.failure
            return
        assert story.refused is None
        rejected = {n: (r.plugin, tuple(sorted(r.reasons))) for n, r in story.rejected.items()}
        assert rejected == answer.rejected
        assert story.scores == answer.scores
        if decision.node is None:
            assert len(answer.rejected) == len(self.cluster.nodes)
            assert decision.failure == story.failure
            self.check_preemption(pod, decision, story)
            return
        assert decision.node in answer.best
        assert decision.n_feasible == len(story.feasible)
        assert decision.score == answer.totals[decision.node] or decision.n_feasible == 1
        self.assume(pod, decision)

    def assume(self, pod: Pod, decision: Decision) -> None:
        """Put a pod where it was decided, with all that was promised to it."""
        assert decision.node is not None
        key, node = pod.metadata.key, self.cluster.nodes[decision.node]
        _, promises = storage.bind(self.cluster.stored, pod, node)
        assert set(decision.reservations) == {
            *(BindClaim(claim, volume) for claim, volume in promises.volumes),
            *(ProvisionClaim(claim, name) for claim, name in promises.nodes),
        }
        self.cluster.nominated.pop(key, None)
        self.cluster.pods[key] = (pod, node.name)
        self.cluster.stored.promises[key] = promises
        request, slot = self.state.request(pod), self.state.slot_of(node.name)
        assert slot is not None
        self.state.assume(key, pod.metadata.labels, request, slot, decision.reservations)
        if self.random.random() < 0.8 or pod.status.start_time is not None:
            self.state.apply(PodPut(pod, node.name))

    def check_preemption(self, pod: Pod, decision: Decision, story: Explanation) -> None:
        outcome = preempt(self.cluster, pod)
        found = {c.node: (list(c.victims), c.n_pdb_violations) for c in story.candidates}
        assert found == {n: (room.victims, room.n_violations) for n, room in outcome.rooms.items()}
        assert list(story.nominated) == outcome.best
        failure, nomination = decision.failure, decision.nomination
        assert failure is not None
        tail = failure.message.partition(" preemption: ")[2]
        if nomination is not None:
            assert not tail
            assert nomination.node in outcome.best
            assert nomination in story.candidates
            self.carry_out(pod, nomination)
        elif outcome.not_eligible:
            assert tail == outcome.not_eligible
            assert failure.keeps_nomination
        else:
            counts = sorted(f"{count} {reason}" for reason, count in outcome.obstacles.items())
            assert tail.partition(": ")[2] == ", ".join(counts) + "."
            assert not failure.keeps_nomination
            self.clear_nomination(pod.metadata.key)

    def carry_out(self, pod: Pod, nomination: Nomination) -> None:
        """Nominate the pod; its victims go, are about to go, or have not heard of it yet."""
        self.cluster.nominated[pod.metadata.key] = pod, nomination.node
        self.state.apply(Nominated(pod, nomination.node))
        for key in nomination.victims:
            match self.random.randrange(3):
                case 0:
                    self.delete_pod(key)
                case 1:
                    self.put_pod(terminating(self.cluster.pods[key][0]), nomination.node)

    def new_pod(self) -> Pod:
        self.n_pods += 1
        template = self.random.choice(self.templates)
        is_owner = any(volume.ephemeral for volume in template.spec.volumes)
        name = "owner" if is_owner else f"pod-{self.n_pods}"
        meta = msgspec.structs.replace(template.metadata, name=name)
        if meta.key in self.cluster.pods:
            self.delete_pod(meta.key)
        return msgspec.structs.replace(template, metadata=meta)

    def put_pod(self, pod: Pod, node_name: str) -> None:
        key = pod.metadata.key
        self.cluster.nominated.pop(key, None)
        if self.cluster.pods.get(key, (pod, ""))[1] != node_name:
            self.cluster.stored.promises.pop(key, None)
        self.cluster.pods[key] = (pod, node_name)
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


class StorageHistory(History):
    """Claims and volumes come, change and go, as fast as pods and nodes do."""

    def put_node(self) -> None:
        super().put_node()
        self.change_storage()

    def new_pod(self) -> Pod:
        self.change_storage()
        return super().new_pod()


class GrowingHistory(History):
    """A cluster that grows from a few nodes to many, so that all that is kept per node must grow.

    Most nodes look alike but for their names, as in real clusters.
    """

    node_names = [f"grown-{index}" for index in range(50)]

    def put_node(self) -> None:
        look = self.random.choice(self.random.choice(self.looks))
        n_before = len(self.cluster.nodes)
        for _ in range(self.random.randrange(1, 4)):
            name = self.random.choice(self.node_names[: n_before + 8])
            labels = look.metadata.labels
            if "kubernetes.io/hostname" in labels and self.random.random() < 0.9:
                labels = labels | {"kubernetes.io/hostname": name}
            meta = msgspec.structs.replace(look.metadata, name=name, labels=labels)
            node = msgspec.structs.replace(look, metadata=meta)
            self.cluster.put_node(node)
            self.state.apply(NodePut(node))


def elsewhere(pod: Pod) -> Pod:
    """Return the same pod in another namespace; most rules cannot tell the two apart."""
    namespace = "third" if pod.metadata.namespace == "other" else "other"
    meta = msgspec.structs.replace(pod.metadata, namespace=namespace)
    return msgspec.structs.replace(pod, metadata=meta)


def terminating(pod: Pod) -> Pod:
    """Return a pod that the scheduler has asked to go."""
    condition = Condition(type="DisruptionTarget", status="True", reason="PreemptionByScheduler")
    meta = msgspec.structs.replace(pod.metadata, deletion_timestamp="2026-01-01T00:00:00Z")
    status = msgspec.structs.replace(pod.status, conditions=(condition,))
    return msgspec.structs.replace(pod, metadata=meta, status=status)


@given(
    templates=st.lists(pods("template"), min_size=6, max_size=6),
    looks=st.tuples(*(st.lists(nodes(n), min_size=3, max_size=3) for n in NODE_NAMES)),
    labels=st.lists(namespace_labels, min_size=2, max_size=2),
    selectors=st.lists(label_selectors(POD_KEYS, ["a", "b", "x", "y"]), min_size=2, max_size=2),
    budgets=st.tuples(budgets("one"), budgets("two"), budgets("one")),
    stored=st.lists(storage_objects(NODE_NAMES), min_size=20, max_size=20),
    seed=st.integers(0, 2**32),
    profile=st.one_of(st.none(), profiles()),
)
@at_length(N_HISTORIES)
def test_engine_and_plain_evaluator_agree_through_any_history_under_any_configuration(
    templates: list[Pod],
    looks: tuple[list[Node], ...],
    labels: list[dict[str, str]],
    selectors: list[dict[str, Any]],
    budgets: tuple[PodDisruptionBudget, ...],
    stored: list[StorageObject],
    seed: int,
    profile: dict[str, Any] | None,
) -> None:
    typed = msgspec.convert(selectors, list[LabelSelector])
    in_other_namespaces = [elsewhere(pod) for pod in templates[:2] if not pod.spec.volumes]
    History(
        [*templates, *in_other_namespaces],
        list(looks),
        labels,
        typed,
        list(budgets),
        stored,
        Random(seed),
        profile,
    ).run()


@given(
    templates=st.lists(pods("template", flavours=["volumes"]), min_size=6, max_size=6),
    looks=st.tuples(*(st.lists(nodes(n), min_size=2, max_size=2) for n in NODE_NAMES)),
    budgets=st.tuples(budgets("one")),
    stored=st.lists(storage_objects(NODE_NAMES), min_size=30, max_size=30),
    seed=st.integers(0, 2**32),
)
@at_length(N_HISTORIES // 8)
def test_they_agree_through_any_history_of_claims_and_volumes(
    templates: list[Pod],
    looks: tuple[list[Node], ...],
    budgets: tuple[PodDisruptionBudget, ...],
    stored: list[StorageObject],
    seed: int,
) -> None:
    none_matter: list[LabelSelector] = [LabelSelector()]
    StorageHistory(
        templates, list(looks), [{}], none_matter, list(budgets), stored, Random(seed)
    ).run()


@given(
    templates=st.lists(pods("template"), min_size=5, max_size=5),
    looks=st.lists(nodes("look"), min_size=3, max_size=3),
    labels=st.lists(namespace_labels, min_size=2, max_size=2),
    selectors=st.lists(label_selectors(POD_KEYS, ["a", "b", "x", "y"]), min_size=2, max_size=2),
    budgets=st.tuples(budgets("one")),
    stored=st.lists(storage_objects(NODE_NAMES), min_size=2, max_size=2),
    seed=st.integers(0, 2**32),
)
@at_length(N_HISTORIES // 30)
def test_they_agree_on_a_cluster_that_grows(
    templates: list[Pod],
    looks: list[Node],
    labels: list[dict[str, str]],
    selectors: list[dict[str, Any]],
    budgets: tuple[PodDisruptionBudget, ...],
    stored: list[StorageObject],
    seed: int,
) -> None:
    typed = msgspec.convert(selectors, list[LabelSelector])
    GrowingHistory(templates, [looks], labels, typed, list(budgets), stored, Random(seed)).run()
