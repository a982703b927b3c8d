"""Whatever happens to their pods and nodes, and wherever their controller dies, sets recover."""

from __future__ import annotations

from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.objects import daemon_set, node, stateful_set, template
from tests.property.controlled_world import World, is_serving, steps_of

from kubeberth.api.scheme import PODS
from kubeberth.api.workloads import is_active
from kubeberth.controllers.action import CreateObject, DeleteObject
from kubeberth.controllers.workloads import daemon_pods
from kubeberth.controllers.workloads import daemon_set as daemons
from kubeberth.controllers.workloads import stateful_set as stateful
from kubeberth.controllers.workloads.stateful_pods import ordinal_of, ordinals, revision_of

NODES = ("n1", "n2", "n3", "n4")
MANY = 400  # more steps than any decision has
images = st.integers(1, 3).map(lambda number: f"nginx:{number}")
pod_numbers = st.integers(0, 7)
# How much of a decision is carried out: all of it, or what was done when the controller was killed.
shares = st.one_of(st.just(MANY), st.integers(0, 4))
happenings = st.one_of(
    st.tuples(st.sampled_from(("run", "stumble", "fail", "delete", "vanish")), pod_numbers),
    st.tuples(st.just("image"), images),
    st.tuples(st.just("reconcile"), shares),
    st.tuples(st.just("reconcile"), shares),
)
of_sets = st.one_of(happenings, st.tuples(st.just("scale"), st.integers(0, 5)))
of_daemons = st.one_of(
    happenings,
    st.tuples(st.just("mark"), st.sampled_from(NODES)),
    st.tuples(st.just("repeat"), pod_numbers),
)


def happen(world, what, value):
    """Let something happen to a pod, if there is one, or to the template."""
    if what == "image":
        world.edit(template=template(value))
        return
    if not world.pods:
        return
    name = sorted(world.pods)[value % len(world.pods)]
    match what:
        case "run" | "stumble":
            world.run(name, ready=what == "run")
        case "fail":
            world.fail(name)
        case "delete":
            world.ask_to_go(name)
        case "repeat":
            world.repeat(name)
        case "vanish" if world.pods[name].is_terminating:
            del world.pods[name]


class Ensemble(World):
    """A stateful set that keeps its order."""

    def decision(self):
        taken = {f"default/{name}": revision for name, revision in self.revisions.items()}
        view = stateful.View(
            self.owner, tuple(self.pods.values()), tuple(self.revisions.values()), taken
        )
        return steps_of(stateful.reconcile(view, self.now).actions)

    def reconcile(self, share=MANY):
        for step in islice(list(self.decision()), share):
            self.check(step)
            self.carry_out(step)

    def check(self, step):
        if self.owner.spec.pod_management_policy != "OrderedReady":
            return
        if isinstance(step, CreateObject) and step.resource == PODS:
            made = ordinal_of("web", step.body["metadata"]["name"])
            before = [o for o in ordinals(self.owner) if o < made]
            assert all(self.serves(o) for o in before), "one before it is not well"
        if isinstance(step, DeleteObject) and step.target.resource == PODS:
            pod = self.pods[step.target.name]
            others = [o for o in ordinals(self.owner) if f"web-{o}" != pod.metadata.name]
            if not pod.is_terminal:
                assert all(self.serves(o) for o in others), "another one is not well"

    def serves(self, ordinal):
        pod = self.pods.get(f"web-{ordinal}")
        return pod is not None and is_serving(pod)


@settings(max_examples=150, deadline=None)
@given(
    policy=st.sampled_from(("OrderedReady", "Parallel")),
    story=st.lists(of_sets, min_size=5, max_size=60),
)
def test_a_stateful_set_keeps_its_order_and_always_gets_there(policy, story):
    world = Ensemble(stateful_set(policy=policy, revisionHistoryLimit=1))
    for what, value in story:
        if what == "reconcile":
            world.reconcile(value)
        elif what == "scale":
            world.edit(replicas=value)
        else:
            happen(world, what, value)
    for _ in range(60):
        world.reconcile()
        world.settle()
    assert list(world.decision()) == []
    wanted = len(ordinals(world.owner))
    assert sorted(world.pods) == sorted(f"web-{o}" for o in ordinals(world.owner))
    status = world.owner.status
    assert {revision_of(pod) for pod in world.pods.values()} <= {status.update_revision}
    assert status.current_revision == status.update_revision == world.newest_revision
    assert status.replicas == status.updated_replicas == status.available_replicas == wanted
    assert len(world.revisions) <= 2, "one in use, and one to go back to"


class Fleet(World):
    """A daemon set on four nodes, of which some are marked for it."""

    def __init__(self, owner):
        super().__init__(owner)
        self.marked = set(NODES[:3])

    def nodes(self):
        labels = {True: {"role": "agent"}, False: {}}
        return tuple(node(name, labels=labels[name in self.marked]) for name in NODES)

    def decision(self):
        taken = {f"default/{name}": revision for name, revision in self.revisions.items()}
        view = daemons.View(
            self.owner,
            self.nodes(),
            tuple(self.pods.values()),
            tuple(self.revisions.values()),
            taken,
        )
        return steps_of(daemons.decide(view, self.now).outcome.actions)

    def reconcile(self, share=MANY):
        steps = list(islice(list(self.decision()), share))
        served = self.served()
        going = [s.target.name for s in steps if isinstance(s, DeleteObject)]
        for step in steps:
            self.carry_out(step)
        rolling = self.owner.spec.update_strategy.rolling_update
        if share == MANY:
            assert self.crowd() <= 1 + bool(rolling.max_surge)
        lost = served - self.served()
        if any(name in self.pods for name in going) and lost:
            assert len(self.marked - self.served()) <= rolling.max_unavailable, lost

    def served(self):
        return {daemon_pods.target_of(p) for p in self.pods.values() if is_serving(p)} & self.marked

    def crowd(self):
        """Return the most pods on one node that have neither ended nor been asked to go."""
        active = [daemon_pods.target_of(pod) for pod in self.pods.values() if is_active(pod)]
        return max((active.count(name) for name in NODES), default=0)


def strategy(surge, unavailable):
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"type": "RollingUpdate", "rollingUpdate": rolling}


@settings(max_examples=150, deadline=None)
@given(
    bounds=st.sampled_from(((0, 1), (0, 2), (1, 0), (2, 0))),
    story=st.lists(of_daemons, min_size=5, max_size=60),
)
def test_a_daemon_set_stays_within_its_bounds_and_always_gets_there(bounds, story):
    selector = {"nodeSelector": {"role": "agent"}}
    owner = daemon_set(strategy=strategy(*bounds), pod=selector, revisionHistoryLimit=1)
    world = Fleet(owner)
    for what, value in story:
        if what == "reconcile":
            world.reconcile(value)
        elif what == "mark":
            world.marked ^= {value}
        elif what == "image":
            made_of = template(value)
            made_of["spec"] |= selector
            world.edit(template=made_of)
        else:
            happen(world, what, value)
    for _ in range(40):
        world.reconcile()
        world.settle()
    assert list(world.decision()) == []
    on = sorted(pod.spec.node_name for pod in world.pods.values())
    assert on == sorted(world.marked)
    hashes = {pod.metadata.labels[daemon_pods.HASH] for pod in world.pods.values()}
    assert {f"web-{hash_}" for hash_ in hashes} <= {world.newest_revision}
    images_ = {pod.spec.containers[0].image for pod in world.pods.values()}
    assert images_ <= {world.owner.spec.template["spec"]["containers"][0]["image"]}
    status = world.owner.status
    assert status.desired_number_scheduled == status.number_available == len(world.marked)
    assert status.number_unavailable == status.number_misscheduled == 0
    assert len(world.revisions) <= 2, "one in use, and one to go back to"
