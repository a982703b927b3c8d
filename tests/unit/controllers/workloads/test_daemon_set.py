from collections import Counter

import msgspec
import pytest
from tests.objects import NOW, daemon_set, node, pod

from kubeberth.api.scheme import CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS
from kubeberth.api.workloads import ControllerRevision
from kubeberth.controllers.action import (
    CreateObject,
    CreatePods,
    DeleteObject,
    DeletePods,
    PatchObject,
    RecordEvent,
)
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.workloads import daemon_pods
from kubeberth.controllers.workloads.daemon_set import (
    BURST,
    DaemonSetReconciler,
    View,
    Wait,
    decide,
)

SET = daemon_set()
N1, N2, N3 = (node(f"n{i}") for i in (1, 2, 3))
ALL = (N1, N2, N3)


def reconcile(*pods, of=SET, nodes=ALL, revisions=None, waits=None, now=NOW):
    """Reconcile a set whose history is up to date, unless told otherwise."""
    known = [revision_of(of)] if revisions is None else revisions
    taken = {f"default/{r.metadata.name}": r for r in known}
    view = View(of, tuple(nodes), tuple(pods), tuple(known), taken, waits or {})
    return decide(view, now)


def of_type(decision, kind):
    return [action for action in decision.outcome.actions if isinstance(action, kind)]


def created(decision):
    return [body for action in of_type(decision, CreatePods) for body in action.bodies]


def created_on(decision):
    return [node_of(body) for body in created(decision)]


def node_of(body):
    required = body["spec"]["affinity"]["nodeAffinity"]
    [term] = required["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    [field] = term["matchFields"]
    return field["values"][0]


def deleted(decision):
    return [pod.name for action in of_type(decision, DeletePods) for pod in action.pods]


def events(decision):
    return [(e.type, e.reason, e.message) for e in of_type(decision, RecordEvent)]


def status_of(decision):
    found = [a for a in of_type(decision, PatchObject) if a.sub == "status"]
    return found[0].patch["status"] if found else None


def revision_of(of, number=1):
    [body] = [a.body for a in of_type(decide(View(of), NOW), CreateObject)]
    body["metadata"]["uid"] = f"uid-{body['metadata']['name']}"
    return msgspec.convert({**body, "revision": number}, ControllerRevision)


def hash_of(of):
    return revision_of(of).metadata.labels["controller-revision-hash"]


def daemon(name, on="n1", of=SET, **fields):
    labels = {"app": "web", "controller-revision-hash": hash_of(of)}
    return pod(name, owner=of, node=on, **{"labels": labels, **fields})


def daemons(*nodes, of=SET, **fields):
    return [daemon(f"web-{n}", n, of, **fields) for n in nodes]


# Where daemons belong.


def fits(of, on):
    fit = daemon_pods.fit(daemon_pods.spec_of(of), on)
    return fit.starts, fit.stays


def tainted(key, effect):
    return node(taints=[{"key": key, "value": "x", "effect": effect}])


TOLERANT = [{"key": "gpu", "operator": "Exists"}]


@pytest.mark.parametrize(
    ("spec", "on", "expected"),
    [
        pytest.param({}, node(), (True, True), id="any node"),
        pytest.param({"nodeSelector": {"a": "b"}}, node(), (False, False), id="other labels"),
        pytest.param({"nodeName": "n1"}, N2, (False, False), id="another name"),
        pytest.param({"nodeName": "n1"}, N1, (True, True), id="the right name"),
        pytest.param({}, tainted("gpu", "NoSchedule"), (False, True), id="a taint: it may stay"),
        pytest.param({}, tainted("gpu", "NoExecute"), (False, False), id="a taint that evicts"),
        pytest.param({}, tainted("gpu", "PreferNoSchedule"), (True, True), id="a mere preference"),
        pytest.param(
            {"tolerations": TOLERANT}, tainted("gpu", "NoExecute"), (True, True), id="tolerated"
        ),
        pytest.param({}, node(ready="False"), (True, True), id="not ready"),
        pytest.param({}, node(unschedulable=True), (True, True), id="cordoned"),
    ],
)
def test_a_daemon_belongs_where_labels_name_and_taints_let_it(spec, on, expected):
    assert fits(daemon_set(pod=spec), on) == expected


@pytest.mark.parametrize(
    ("key", "effect"),
    [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ],
)
def test_daemons_bear_with_a_node_in_trouble(key, effect):
    assert fits(SET, tainted(f"node.kubernetes.io/{key}", effect)) == (True, True)


def test_only_daemons_on_the_host_network_come_before_the_network():
    on = tainted("node.kubernetes.io/network-unavailable", "NoSchedule")
    assert fits(SET, on) == (False, True)
    assert fits(daemon_set(pod={"hostNetwork": True}), on) == (True, True)


# What they look like.


def test_every_node_gets_a_pod_that_can_only_run_there():
    decision = reconcile()
    assert created_on(decision) == ["n1", "n2", "n3"]
    body = created(decision)[0]
    assert body["metadata"]["generateName"] == "web-"
    assert body["metadata"]["labels"]["controller-revision-hash"] == hash_of(SET)
    assert "nodeName" not in body["spec"]


def test_n137_required_node_affinity_gives_way_to_the_name_of_the_node():
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]},
                    {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]},
                ]
            },
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {}}],
        },
        "podAntiAffinity": {},
    }
    of = daemon_set(pod={"affinity": affinity})
    [body] = created(reconcile(of=of, nodes=[N1, node("ssd", labels={"disk": "ssd"})]))
    assert node_of(body) == "ssd"
    assert (
        "preferredDuringSchedulingIgnoredDuringExecution"
        in (body["spec"]["affinity"]["nodeAffinity"])
    )
    assert body["spec"]["affinity"]["podAntiAffinity"] == {}


def test_the_tolerations_of_daemons_are_added_and_end_those_that_are_limited():
    limited = {
        "key": "node.kubernetes.io/not-ready",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 60,
    }
    of = daemon_set(pod={"tolerations": [limited, {"key": "gpu", "operator": "Exists"}]})
    tolerations = created(reconcile(of=of))[0]["spec"]["tolerations"]
    assert "tolerationSeconds" not in tolerations[0]
    assert Counter(t["key"] for t in tolerations).most_common(1)[0][1] == 1
    assert len(tolerations) == 7


def test_pods_are_labelled_with_how_often_the_template_has_changed():
    of = daemon_set(annotations={"deprecated.daemonset.template.generation": "4"})
    assert created(reconcile(of=of))[0]["metadata"]["labels"]["pod-template-generation"] == "4"


# Following the nodes.


def test_nothing_is_made_where_a_pod_is_even_if_it_is_going():
    assert created_on(reconcile(daemon("a", "n1", deleting=True), daemon("b", "n2"))) == ["n3"]


def test_a_pod_that_waits_for_its_node_counts_as_there():
    decision = reconcile(nodes=[N1])
    [body] = created(decision)
    body["metadata"] |= {"name": "web-x", "uid": "uid-x"}
    waiting = msgspec.convert(body, type(pod()))
    assert created_on(reconcile(waiting, nodes=[N1])) == []


def test_n90_a_node_that_loses_its_label_loses_its_daemon_at_once():
    of = daemon_set(pod={"nodeSelector": {"role": "agent"}})
    agents = [node("n1", labels={"role": "agent"}), N2]
    decision = reconcile(*daemons("n1", "n2", of=of), of=of, nodes=agents)
    assert deleted(decision) == ["web-n2"]
    assert status_of(decision)["numberMisscheduled"] == 1


def test_n136_a_taint_that_does_not_evict_leaves_the_pod_where_it_should_not_be():
    on = tainted("gpu", "NoSchedule")
    decision = reconcile(daemon("a", on.name), nodes=[on])
    assert deleted(decision) == []
    status = status_of(decision)
    assert (status["numberMisscheduled"], status["desiredNumberScheduled"]) == (1, 0)


def test_a_taint_that_evicts_removes_the_pod():
    on = tainted("gpu", "NoExecute")
    assert deleted(reconcile(daemon("a", on.name), nodes=[on])) == ["a"]


def test_of_several_on_a_node_the_oldest_stays():
    old, young = daemon("old", created=NOW - 900), daemon("young", created=NOW - 100)
    assert deleted(reconcile(young, old, nodes=[N1])) == ["young"]


def test_a_pod_that_never_came_to_a_node_that_is_gone_is_removed():
    [body] = created(reconcile(nodes=[node("gone")]))
    body["metadata"] |= {"name": "web-x", "uid": "uid-x"}
    lost = msgspec.convert(body, type(pod()))
    assert deleted(reconcile(lost, *daemons("n1", "n2", "n3"))) == ["web-x"]


def test_no_more_than_250_pods_are_made_at_a_time():
    nodes = [node(f"node-{i:03}") for i in range(300)]
    assert len(created(reconcile(nodes=nodes))) == BURST


def test_a_set_that_is_being_deleted_is_left_alone():
    decision = reconcile(of=daemon_set(deleting=True), revisions=[])
    assert decision.outcome.actions == ()


def test_a_set_that_selects_everything_is_told_so_and_does_nothing():
    decision = reconcile(of=daemon_set(selector={}), revisions=[])
    [(type_, reason, _)] = events(decision)
    assert (type_, reason) == ("Warning", "SelectingAll")
    assert created(decision) == []


# Pods that end.


def test_a_failed_pod_is_killed_and_the_next_one_is_given_more_and_more_time():
    failed = daemon("a", "n1", phase="Failed")
    first = reconcile(failed, *daemons("n2", "n3"))
    assert deleted(first) == ["a"]
    assert first.failed_on == ("n1",)
    assert events(first) == [
        (
            "Warning",
            "FailedDaemonPod",
            "Found failed daemon pod default/a on node n1, will try to kill it",
        )
    ]
    again = reconcile(failed, *daemons("n2", "n3"), waits={"n1": Wait(NOW - 0.25)})
    assert deleted(again) == []
    assert again.outcome.requeue_after_s == pytest.approx(0.75)
    over = reconcile(failed, *daemons("n2", "n3"), waits={"n1": Wait(NOW - 2)})
    assert deleted(over) == ["a"]


def test_waits_double_up_to_a_quarter_of_an_hour_and_are_forgotten_after_twice_that():
    wait, seconds = Wait(NOW), []
    for _ in range(12):
        seconds.append(wait.seconds)
        wait = wait.next(NOW)
    assert seconds == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert not wait.is_over(NOW + 1800)
    assert wait.is_over(NOW + 1801)


def test_a_pod_that_succeeded_is_deleted_at_once():
    decision = reconcile(daemon("a", phase="Succeeded"), *daemons("n2", "n3"))
    assert deleted(decision) == ["a"]
    assert events(decision)[0][:2] == ("Normal", "SucceededDaemonPod")


def test_the_reconciler_remembers_where_pods_failed():
    cache, reconciler = Cache(), DaemonSetReconciler()
    for resource, item in [(DAEMON_SETS, SET), (NODES, N1)]:
        cache.apply(resource, None, item)
    cache.apply(PODS, None, daemon("a", phase="Failed"))
    kinds = (DeletePods,)

    def kills(now):
        actions = reconciler.reconcile(cache, "default/web", now, None).actions
        return any(isinstance(action, kinds) for action in actions)

    at = (NOW, NOW + 0.5, NOW + 1, NOW + 2, NOW + 3, NOW + 6, NOW + 7)
    assert list(map(kills, at)) == [True, False, True, False, True, False, True]


# Updates.

NEW = daemon_set(image="nginx:2")


def history(*sets):
    return [revision_of(of, number) for number, of in enumerate(sets, 1)]


BOTH = history(SET, NEW)


def surging(surge=1, unavailable=0, **fields):
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    return daemon_set(image="nginx:2", strategy=strategy, **fields)


def test_a_new_template_gets_a_revision_of_its_own_and_old_pods_go_one_by_one():
    decision = reconcile(*daemons("n1", "n2", "n3"), of=NEW, revisions=history(SET))
    [creation] = of_type(decision, CreateObject)
    assert creation.body["revision"] == 2
    assert creation.body["metadata"]["name"] == f"web-{hash_of(NEW)}"
    assert len(deleted(decision)) == 1
    assert status_of(decision)["updatedNumberScheduled"] is None


@pytest.mark.parametrize(
    ("most", "expected"), [(1, 1), (2, 2), (5, 3), ("1%", 1), ("34%", 2), ("100%", 3)]
)
def test_as_many_old_pods_go_as_may_be_unavailable_with_shares_rounded_up(most, expected):
    pods = daemons("n1", "n2", "n3")
    decision = reconcile(*pods, of=surging(0, most), revisions=BOTH)
    assert len(deleted(decision)) == expected


def test_an_update_waits_while_a_new_pod_is_unavailable():
    pods = [daemon("new", "n1", NEW, ready=False), *daemons("n2", "n3")]
    assert deleted(reconcile(*pods, of=NEW, revisions=BOTH)) == []


def test_an_update_waits_while_a_pod_is_on_its_way_out():
    pods = [daemon("a", "n1", deleting=True), *daemons("n2", "n3")]
    assert deleted(reconcile(*pods, of=NEW, revisions=BOTH)) == []


def test_old_pods_that_do_no_work_are_replaced_freely():
    pods = [*daemons("n1", "n2", ready=False), daemon("c", "n3")]
    assert deleted(reconcile(*pods, of=NEW, revisions=BOTH)) == ["web-n1", "web-n2"]


def test_what_is_missing_is_made_before_an_update_goes_on():
    decision = reconcile(*daemons("n1", "n2"), of=NEW, revisions=BOTH)
    assert created_on(decision) == ["n3"]
    assert deleted(decision) == []


def test_on_delete_leaves_old_pods_to_the_user():
    of = daemon_set(image="nginx:2", strategy={"type": "OnDelete"})
    decision = reconcile(*daemons("n1", "n2", "n3"), of=of, revisions=BOTH)
    assert deleted(decision) == []
    assert created(decision) == []


def test_with_surge_new_pods_come_beside_old_ones():
    pods = daemons("n1", "n2", "n3")
    decision = reconcile(*pods, of=surging(), revisions=BOTH)
    assert created_on(decision) == ["n1"]
    assert deleted(decision) == []
    assert created_on(reconcile(*pods, of=surging("50%"), revisions=BOTH)) == ["n1", "n2"]


def test_with_surge_an_old_pod_goes_when_the_new_one_is_available():
    pods = daemons("n1", "n2", "n3")
    waiting = [daemon("new", "n1", NEW, ready=False), *pods]
    assert deleted(reconcile(*waiting, of=surging(), revisions=BOTH)) == []
    assert created_on(reconcile(*waiting, of=surging(), revisions=BOTH)) == []
    ready = [daemon("new", "n1", NEW), *pods]
    decision = reconcile(*ready, of=surging(), revisions=BOTH)
    assert deleted(decision) == ["web-n1"]


def test_with_surge_an_old_pod_that_is_not_ready_goes_as_soon_as_there_is_a_new_one():
    pods = [daemon("new", "n1", NEW, ready=False), daemon("old", "n1", ready=False)]
    decision = reconcile(*pods, *daemons("n2", "n3"), of=surging(), revisions=BOTH)
    assert deleted(decision) == ["old"]


def test_with_surge_a_node_whose_pod_is_going_gets_the_next_at_once():
    pods = [daemon("a", "n1", deleting=True), *daemons("n2", "n3")]
    assert created_on(reconcile(*pods, of=surging(), revisions=BOTH)) == ["n1"]
    assert created_on(reconcile(*pods, of=NEW, revisions=BOTH)) == []


def test_with_surge_a_pod_that_may_stay_but_should_not_goes_when_enough_others_serve():
    tainted_ = node("n3", taints=[{"key": "gpu", "effect": "NoSchedule"}])
    new = [daemon(f"new-{n}", n, NEW) for n in ("n1", "n2")]
    pods = [*new, daemon("left", "n3")]
    nodes = (N1, N2, tainted_)
    assert deleted(reconcile(*pods, of=surging(), nodes=nodes, revisions=BOTH)) == ["left"]
    pods[1] = daemon("new-n2", "n2", NEW, ready=False)
    assert deleted(reconcile(*pods, of=surging(), nodes=nodes, revisions=BOTH)) == []


def test_a_new_pod_counts_only_when_it_has_been_ready_for_long_enough():
    of = daemon_set(image="nginx:2", minReadySeconds=60)
    fresh = daemon("new", "n1", NEW, ready_since=NOW - 20)
    pods = daemons("n2", "n3", ready_since=NOW - 100)
    decision = reconcile(fresh, *pods, of=of, revisions=history(SET, of))
    assert deleted(decision) == []
    assert decision.outcome.requeue_after_s == pytest.approx(40, abs=0.1)
    assert status_of(decision)["numberAvailable"] == 2


# History.


def test_going_back_gives_the_old_revision_the_next_number():
    decision = reconcile(*daemons("n1", "n2", "n3", of=NEW), revisions=BOTH)
    [patch] = [a for a in of_type(decision, PatchObject) if not a.sub]
    assert patch.target.name == f"web-{hash_of(SET)}"
    assert patch.patch == {"revision": 3}


def test_several_revisions_of_one_template_become_one():
    twin = revision_of(SET, 1)
    labels = {**twin.metadata.labels, "controller-revision-hash": "twin"}
    metadata = msgspec.structs.replace(twin.metadata, name="web-twin", labels=labels)
    twin = msgspec.structs.replace(twin, metadata=metadata)
    marked = daemon("a", "n1", labels={"app": "web", "controller-revision-hash": "twin"})
    decision = reconcile(marked, *daemons("n2", "n3"), revisions=[twin, revision_of(SET, 2)])
    [relabelling] = [a for a in of_type(decision, PatchObject) if not a.sub]
    assert relabelling.target.name == "a"
    assert relabelling.patch["metadata"]["labels"]["controller-revision-hash"] == hash_of(SET)
    assert [a.target.name for a in of_type(decision, DeleteObject)] == ["web-twin"]


def test_revisions_beyond_the_limit_go_oldest_first_but_not_those_in_use():
    sets = [daemon_set(image=f"nginx:{n}", revisionHistoryLimit=2) for n in range(5)]
    pods = [daemon("a", "n1", sets[0], ready=False), *daemons("n2", "n3", of=sets[4])]
    decision = reconcile(*pods, of=sets[4], revisions=history(*sets))
    removed = [a.target for a in of_type(decision, DeleteObject)]
    assert {target.resource for target in removed} == {CONTROLLER_REVISIONS}
    assert [t.name for t in removed] == [f"web-{hash_of(sets[1])}", f"web-{hash_of(sets[2])}"]


# Status, and what wakes it.


def test_the_status_counts_nodes():
    tainted_ = node("n4", taints=[{"key": "gpu", "effect": "NoSchedule"}])
    pods = [daemon("a", "n1", NEW), daemon("b", "n2", ready=False), daemon("d", "n4")]
    assert status_of(reconcile(*pods, of=NEW, nodes=(*ALL, tainted_), revisions=BOTH)) == {
        "desiredNumberScheduled": 3,
        "currentNumberScheduled": 2,
        "numberMisscheduled": 1,
        "numberReady": 1,
        "updatedNumberScheduled": 1,
        "numberAvailable": 1,
        "numberUnavailable": 2,
        "observedGeneration": 1,
        "collisionCount": None,
    }


def test_nothing_is_done_when_all_is_as_it_should_be():
    numbers = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    status = {**dict.fromkeys(numbers, 3), "observedGeneration": 1}
    decision = reconcile(*daemons("n1", "n2", "n3"), of=daemon_set(status=status))
    assert decision.outcome.actions == ()


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        pytest.param(node("n1"), [], id="a heartbeat"),
        pytest.param(node("n1", ready="Unknown"), [], id="not ready"),
        pytest.param(node("n1", labels={"a": "b"}), ["default/web"], id="labels"),
        pytest.param(
            node("n1", taints=[{"key": "a", "effect": "NoExecute"}]), ["default/web"], id="taints"
        ),
        pytest.param(None, ["default/web"], id="it is gone"),
    ],
)
def test_changes_of_nodes_wake_daemons_but_heartbeats_do_not(new, expected):
    cache = Cache()
    cache.apply(DAEMON_SETS, None, SET)
    assert list(DaemonSetReconciler().keys(cache, NODES, N1, new)) == expected
