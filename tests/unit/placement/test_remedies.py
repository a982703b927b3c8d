"""What would help a pod that fits nowhere: named, with the command, the smallest change first."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.placement.builders import (
    HOST,
    ZONE,
    Cluster,
    expression,
    far,
    make_node,
    make_pod,
    near,
    node_terms,
    term,
)

from kubeberth.api.core import Pod
from kubeberth.api.meta import OwnerReference
from kubeberth.placement.profile import default_profile
from kubeberth.placement.remedies.conflict import find_conflict
from kubeberth.placement.remedies.remedy import Remedy
from kubeberth.placement.remedies.search import find_remedies

GPU = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
CORDON = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
SPREAD = {
    "maxSkew": 1,
    "topologyKey": ZONE,
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "web"}},
}


def remedies(cluster: Cluster, pod: Pod) -> tuple[Remedy, ...]:
    return find_remedies(cluster.state, pod, default_profile())


def texts(cluster: Cluster, pod: Pod) -> list[str]:
    return [remedy.text for remedy in remedies(cluster, pod)]


def blamed(cluster: Cluster, pod: Pod) -> dict[str, int]:
    conflict = find_conflict(cluster.state, pod, default_profile())
    return {} if conflict is None else {rule.text: rule.nodes for rule in conflict.rules}


def with_priority(pod: Pod, value: int) -> Pod:
    return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, priority=value))


def owned(pod: Pod, kind: str = "ReplicaSet") -> Pod:
    """Return a pod in whose place a controller makes another."""
    owner = OwnerReference(api_version="apps/v1", kind=kind, name="owner", uid="1", controller=True)
    meta = msgspec.structs.replace(pod.metadata, owner_references=(owner,))
    return msgspec.structs.replace(pod, metadata=meta)


def with_port(pod: Pod, port: int) -> Pod:
    document = msgspec.to_builtins(pod)
    document["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": port}]
    return msgspec.convert(document, Pod)


@pytest.mark.parametrize(
    ("node", "pod", "first"),
    [
        pytest.param(
            make_node("a", labels={"disk": "ssd"}),
            make_pod("p", nodeSelector={"disk": "sdd"}),
            "correct nodeSelector disk=sdd to disk=ssd",
            id="a misspelt value",
        ),
        pytest.param(
            make_node("a", labels={"disktype": "ssd"}),
            make_pod("p", nodeSelector={"diskttype": "ssd"}),
            "correct nodeSelector diskttype=ssd to disktype=ssd",
            id="a misspelt key",
        ),
        pytest.param(
            make_node("a", labels={"disk": "ssd"}),
            make_pod("p", affinity=node_terms([expression("disk", "In", "sdd")])),
            "correct nodeAffinity disk=sdd to disk=ssd",
            id="a misspelt value in an affinity term",
        ),
        pytest.param(
            make_node("a", taints=[GPU]),
            make_pod("p"),
            "tolerate dedicated=gpu:NoSchedule",
            id="a taint",
        ),
        pytest.param(
            make_node("a", unschedulable=True, taints=[CORDON]),
            make_pod("p"),
            "uncordon node a",
            id="a cordoned node",
        ),
        pytest.param(
            make_node("a", cpu="4"),
            make_pod("p", requests={"cpu": "4500m"}),
            "ask for 4 cpu instead of 4500m",
            id="too much cpu",
        ),
        pytest.param(
            make_node("a"),
            make_pod("p", schedulingGates=[{"name": "example.com/wait"}]),
            "remove the scheduling gate example.com/wait",
            id="a gate",
        ),
        pytest.param(
            make_node("a", labels={ZONE: "z"}),
            make_pod(
                "p", affinity=near(term("topology.kubernetes.io/zoen", "p")), labels={"app": "p"}
            ),
            "correct topologyKey topology.kubernetes.io/zoen to topology.kubernetes.io/zone",
            id="a misspelt topology key",
        ),
    ],
)
def test_the_smallest_change_comes_first(node: Any, pod: Pod, first: str) -> None:
    assert texts(Cluster(node), pod)[0] == first


def test_a_label_that_is_missing_comes_with_the_command_that_adds_it() -> None:
    cluster = Cluster(make_node("a"))
    found = remedies(cluster, make_pod("p", nodeSelector={"disk": "ssd"}))
    label = next(remedy for remedy in found if remedy.kinds == ("label-node",))
    assert label.text == "label node a disk=ssd"
    assert label.commands == ("kubectl label node a disk=ssd",)
    assert label.node == "a"


def test_no_node_is_given_the_label_of_another_zone() -> None:
    cluster = Cluster(make_node("a", labels={ZONE: "zone-a"}))
    found = remedies(cluster, make_pod("p", nodeSelector={ZONE: "zone-x"}))
    assert found
    assert all("label-node" not in remedy.kinds for remedy in found)


def test_nobody_is_let_go_who_would_come_back_first() -> None:
    cluster = Cluster(make_node("a", cpu="2"))
    cluster.bind(owned(make_pod("old", requests={"cpu": "2"}, priority=9)), "a")
    asked = make_pod("new", requests={"cpu": "2"})
    assert "let default/old leave a" not in texts(cluster, asked)
    assert "let default/old leave a" in texts(cluster, with_priority(asked, 9))


def test_a_priority_that_no_class_may_have_is_not_suggested() -> None:
    cluster = Cluster(make_node("a", cpu="2"))
    cluster.bind(make_pod("proxy", requests={"cpu": "2"}, priority=2_000_001_000), "a")
    found = remedies(cluster, make_pod("new", requests={"cpu": "2"}))
    assert "raise-priority" not in [kind for remedy in found for kind in remedy.kinds]


def test_the_class_that_is_suggested_is_as_low_as_can_be() -> None:
    cluster = Cluster(make_node("a", cpu="2"), make_node("b", cpu="2"))
    cluster.bind(make_pod("low", requests={"cpu": "2"}, priority=4), "a")
    cluster.bind(make_pod("high", requests={"cpu": "2"}, priority=70), "b")
    (found,) = (
        r
        for r in remedies(cluster, make_pod("new", requests={"cpu": "2"}))
        if r.kinds == ("raise-priority",)
    )
    assert (found.node, found.moved) == ("a", {"default/low": ""})
    assert found.commands[0] == "kubectl create priorityclass above-4 --value=5"
    assert found.patch == {"priorityClassName": "above-4"}


def test_what_comes_is_there_as_a_manifest() -> None:
    cluster = Cluster(make_node("a", cpu="2"))
    found = remedies(cluster, make_pod("new", requests={"cpu": "3"}))
    (node,) = next(r.objects for r in found if r.kinds == ("add-node",))
    assert (node["apiVersion"], node["kind"]) == ("v1", "Node")
    assert node["status"]["allocatable"]["cpu"] == "3000m"


def test_a_pod_that_leaves_is_followed_to_where_it_goes() -> None:
    cluster = Cluster(make_node("a", labels={"disk": "ssd"}), make_node("b"))
    cluster.bind(owned(make_pod("old", requests={"cpu": "3"})), "a")
    pod = make_pod("p", requests={"cpu": "3"}, nodeSelector={"disk": "ssd"})
    moved = next(r for r in remedies(cluster, pod) if r.kinds == ("evict-pod",))
    assert moved.text == "let default/old leave a"
    assert moved.moved == {"default/old": "b"}
    assert moved.commands == ("kubectl delete pod old",)


def test_a_pod_that_goes_does_not_keep_its_successor_away_by_its_number() -> None:
    cluster = Cluster(
        make_node("a", labels={ZONE: "a"}), make_node("b", labels={ZONE: "b"}, taints=[GPU])
    )
    old = make_pod("old", labels={"app": "web"}, topologySpreadConstraints=[SPREAD])
    cluster.bind(owned(old), "a")
    assert "let default/old leave a" not in texts(
        cluster, make_pod("p", affinity=far(term(HOST, "web")))
    )


def test_a_pod_that_nothing_makes_again_is_named() -> None:
    cluster = Cluster(make_node("a"), make_node("b"))
    cluster.bind(make_pod("lone", requests={"cpu": "3"}), "a")
    cluster.bind(owned(make_pod("old", requests={"cpu": "3"})), "b")
    found = {r.text: r.moved for r in remedies(cluster, make_pod("p", requests={"cpu": "3"}))}
    assert found["let default/lone leave a (nothing makes default/lone again)"] == {}


@pytest.mark.parametrize(
    ("owner", "is_proposed"),
    [
        pytest.param("ReplicaSet", False, id="which comes again while it goes"),
        pytest.param("StatefulSet", True, id="which comes again once it is gone"),
    ],
)
def test_a_pod_that_is_shunned_is_let_go_only_if_its_successor_does_not_stay(
    owner: str, is_proposed: bool
) -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(owned(make_pod("old", labels={"app": "old"}), owner), "a")
    found = texts(cluster, make_pod("p", affinity=far(term(HOST, "old"))))
    assert ("let default/old leave a" in found) is is_proposed


def test_replicas_that_shun_each_other_may_do_so_less() -> None:
    cluster = Cluster(make_node("a"))
    web = {"labels": {"app": "web"}}
    cluster.bind(make_pod("w0", **web), "a")
    found = texts(cluster, make_pod("w1", affinity=far(term(HOST, "web")), **web))
    assert found[0] == (
        "prefer rather than require the podAntiAffinity to what matches app=web per "
        "kubernetes.io/hostname"
    )


def test_a_skew_is_raised_no_more_than_it_has_to_be() -> None:
    cluster = Cluster(
        make_node("a", labels={ZONE: "zone-a"}),
        make_node("b", labels={ZONE: "zone-b"}, cpu="1", taints=[GPU]),
    )
    for number in range(2):
        cluster.bind(make_pod(f"w{number}", labels={"app": "web"}), "a")
    pod = make_pod("w2", labels={"app": "web"}, topologySpreadConstraints=[SPREAD])
    found = texts(cluster, pod)
    assert "raise maxSkew over topology.kubernetes.io/zone from 1 to 3" in found
    assert any("nodeTaintsPolicy: Honor" in text for text in found)


def test_a_host_port_that_is_taken_has_a_neighbour() -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(with_port(make_pod("old"), 8080), "a")
    assert texts(cluster, with_port(make_pod("p"), 8080))[0] == "use host port 8081 instead of 8080"


def test_a_label_of_other_pods_that_was_misspelt_is_put_right() -> None:
    cluster = Cluster(make_node("a"))
    cluster.bind(make_pod("db", labels={"app": "database"}), "a")
    pod = make_pod("p", affinity=near(term(HOST, "databse")))
    assert texts(cluster, pod)[0] == "correct podAffinity app=databse to app=database"


def test_two_changes_are_suggested_where_one_does_not_do() -> None:
    cluster = Cluster(make_node("a", cpu="1", taints=[GPU]))
    first = remedies(cluster, make_pod("p", requests={"cpu": "1100m"}))[0]
    assert set(first.kinds) == {"tolerate-taint", "lower-request"}


def test_a_pod_of_a_deployment_has_its_template_patched() -> None:
    pod = make_pod("web-5d4-x", labels={"pod-template-hash": "5d4"}, nodeSelector={"disk": "sdd"})
    owner = {"kind": "ReplicaSet", "name": "web-5d4", "controller": True}
    document = msgspec.to_builtins(pod)
    document["metadata"]["ownerReferences"] = [owner]
    owned = msgspec.convert(document, Pod)
    found = remedies(Cluster(make_node("a", labels={"disk": "ssd"})), owned)[0]
    assert found.patch == {"nodeSelector": {"disk": "ssd"}}
    assert found.commands == (
        "kubectl patch deployment web -p "
        """'{"spec":{"template":{"spec":{"nodeSelector":{"disk":"ssd"}}}}}'""",
    )


def test_a_pod_that_fits_needs_no_help() -> None:
    cluster = Cluster(make_node("a"))
    assert remedies(cluster, make_pod("p")) == ()
    assert blamed(cluster, make_pod("p")) == {}


def test_rules_that_each_some_node_meets_and_none_together_are_named() -> None:
    cluster = Cluster(make_node("a", labels={"disk": "ssd"}), make_node("b"), make_node("c"))
    cluster.bind(make_pod("old", requests={"cpu": "3"}), "a")
    pod = make_pod("p", requests={"cpu": "2", "memory": "1Gi"}, nodeSelector={"disk": "ssd"})
    assert blamed(cluster, pod) == {"requests of 2 cpu": 2, "nodeSelector disk=ssd": 1}


def test_a_rule_that_no_node_meets_stands_alone() -> None:
    cluster = Cluster(make_node("a"), make_node("b"))
    pod = make_pod("p", requests={"cpu": "1"}, nodeSelector={"disk": "ssd"})
    assert blamed(cluster, pod) == {"nodeSelector disk=ssd": 0}


def test_a_demand_that_is_a_wish_already_is_not_made_one_twice() -> None:
    cluster = Cluster(make_node("a"))
    wish = {**SPREAD, "whenUnsatisfiable": "ScheduleAnyway"}
    demand = {**SPREAD, "minDomains": 2}
    found = remedies(cluster, make_pod("p", topologySpreadConstraints=[demand, wish]))
    softer = next(r for r in found if r.kinds == ("soften-spread",))
    (left,) = [c for c in softer.patch["topologySpreadConstraints"] if "$patch" not in c]
    assert "minDomains" not in left
