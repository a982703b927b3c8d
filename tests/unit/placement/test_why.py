"""What stands in the way, in terms that somebody can act upon."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.library.builders import ZONE, node, pod, priority_class

from kubeberth import Cluster
from kubeberth.api.requests import shown_amount
from kubeberth.placement.why import Why

HOSTNAME = "kubernetes.io/hostname"


def labelled(document: Any, **labels: str) -> Any:
    document["metadata"]["labels"] = {**document["metadata"].get("labels", {}), **labels}
    return document


def facts(why: Why) -> dict[str, tuple[str, ...]]:
    return {fact.text: fact.nodes for obstacle in why.obstacles for fact in obstacle.facts}


def near(key: str, app: str, kind: str = "podAntiAffinity") -> dict[str, Any]:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def required(*expressions: dict[str, Any]) -> dict[str, Any]:
    terms = [{"matchExpressions": [expression]} for expression in expressions]
    rule = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"nodeAffinity": rule}


def tainted(name: str) -> Any:
    document = node(name)
    taint = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    document["spec"] = {"taints": [taint]}
    return document


@pytest.mark.parametrize(
    ("asked", "there", "fact"),
    [
        pytest.param(
            pod("p", nodeSelector={"disk": "ssd"}),
            [labelled(node("a"), disk="hdd")],
            "nodeSelector wants disk=ssd, the node has disk=hdd",
            id="a label differs",
        ),
        pytest.param(
            pod("p", nodeSelector={"disk": "ssd"}),
            [node("a")],
            "nodeSelector wants disk=ssd, the node has no label disk",
            id="a label is missing",
        ),
        pytest.param(
            pod(
                "p",
                affinity=required(
                    {"key": "disk", "operator": "In", "values": ["ssd", "nvme"]},
                    {"key": "spinning", "operator": "DoesNotExist"},
                ),
            ),
            [labelled(node("a"), spinning="yes")],
            "nodeAffinity term 2 wants !spinning, the node has spinning=yes",
            id="the second of two terms",
        ),
        pytest.param(
            pod("p"), [tainted("a")], "does not tolerate dedicated=gpu:NoSchedule", id="a taint"
        ),
        pytest.param(
            pod("p", affinity=near(HOSTNAME, "web")),
            [labelled(node("a"), **{HOSTNAME: "a"}), labelled(pod("q", nodeName="a"), app="web")],
            "podAntiAffinity: default/q in kubernetes.io/hostname=a matches app=web",
            id="a pod in the way",
        ),
        pytest.param(
            labelled(pod("p"), app="web"),
            [
                labelled(node("a"), **{HOSTNAME: "a"}),
                pod("q", nodeName="a", affinity=near(HOSTNAME, "web")),
            ],
            "podAntiAffinity of default/q in kubernetes.io/hostname=a keeps out what matches "
            "app=web",
            id="a pod that keeps others out",
        ),
        pytest.param(
            labelled(pod("p", affinity=near(HOSTNAME, "web")), app="web"),
            [
                labelled(node("a"), **{HOSTNAME: "a"}),
                labelled(pod("q", nodeName="a", affinity=near(HOSTNAME, "web")), app="web"),
            ],
            "podAntiAffinity: default/q in kubernetes.io/hostname=a matches app=web, "
            "and the other way round",
            id="replicas that shun each other",
        ),
        pytest.param(
            pod("p", affinity=near(HOSTNAME, "db", "podAffinity")),
            [labelled(node("a"), **{HOSTNAME: "a"})],
            "podAffinity: no pod in kubernetes.io/hostname=a matches app=db",
            id="nobody to be with",
        ),
    ],
)
def test_it_is_named(asked: Any, there: list[Any], fact: str) -> None:
    cluster = Cluster([*there, asked])
    assert facts(cluster.why("p"))[fact] == ("a",)


def test_a_port_that_is_taken_names_who_has_it() -> None:
    def with_port(document: Any) -> Any:
        document["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80}]
        return document

    cluster = Cluster([node("a"), with_port(pod("q", nodeName="a")), with_port(pod("p"))])
    assert facts(cluster.why("p")) == {"host port 80/TCP is taken by default/q": ("a",)}


def test_skew_is_told_by_domain() -> None:
    constraint = {
        "maxSkew": 1,
        "topologyKey": ZONE,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    nodes = [labelled(node("a", cpu="4"), **{ZONE: "1"}), labelled(node("b"), **{ZONE: "2"})]
    nodes[1]["spec"] = {"unschedulable": True}
    placed = labelled(pod("q", nodeName="a"), app="web")
    asked = labelled(pod("p", topologySpreadConstraints=[constraint]), app="web")
    found = facts(Cluster([*nodes, placed, asked]).why("p"))
    assert found[f"{ZONE}=1 has 1 of the pods that match app=web; one more is over maxSkew 1"] == (
        "a",
    )
    assert found["the node is cordoned"] == ("b",)


def test_the_node_with_most_room_says_how_much_is_short() -> None:
    nodes = [node("small", cpu="500m"), node("full", cpu="4")]
    cluster = Cluster([*nodes, pod("q", cpu="3", nodeName="full"), pod("p", cpu="2")])
    assert facts(cluster.why("p")) == {
        "asks for 2 cpu; most is free on full: 1 of 4, 1 short": ("full", "small"),
        "even empty they would not have 2 cpu": ("small",),
    }


def test_every_rule_is_asked_about_every_node_and_the_nearest_node_needs_least() -> None:
    far, close = tainted("far"), tainted("close")
    close["metadata"]["labels"] = {"disk": "ssd"}
    why = Cluster([far, close, pod("p", nodeSelector={"disk": "ssd"})]).why("p")
    assert [(o.rule, o.nodes) for o in why.obstacles] == [
        ("TaintToleration", ("close", "far")),
        ("NodeAffinity", ("far",)),
    ]
    assert [miss.node for miss in why.nearest] == ["close", "far"]
    assert why.nearest[0].needs == ("does not tolerate dedicated=gpu:NoSchedule",)


def test_who_would_have_to_go_is_told() -> None:
    urgent = pod("p", cpu="2", priorityClassName="urgent")
    there = [node("a", cpu="2"), pod("q", cpu="2", nodeName="a")]
    cluster = Cluster([priority_class("urgent", 7), *there, urgent])
    [way] = cluster.why("p").ways_out
    assert (way.node, way.victims) == ("a", ("default/q",))


def test_a_pod_that_fits_shows_the_scores_of_the_best_nodes() -> None:
    cluster = Cluster([node("a", cpu="2"), node("b", cpu="4"), pod("p", cpu="1")])
    why = cluster.why("p")
    assert [row.node for row in why.best] == ["b", "a"]
    assert all(sum(row.scores.values()) == row.total for row in why.best)
    assert why.best[0].total == cluster.explain("p").totals["b"]


def test_a_placed_pod_is_told_from_a_pending_one() -> None:
    cluster = Cluster([node("a"), pod("p")])
    cluster.place("p")
    why = cluster.why("p")
    assert (why.state, why.node) == ("placed", "a")


def test_a_gated_pod_waits_for_its_gates_alone() -> None:
    why = Cluster([node("a"), pod("p", schedulingGates=[{"name": "quota"}])]).why("p")
    assert (why.state, why.message) == ("gated", "waiting for scheduling gates: [quota]")
    assert not why.obstacles


@pytest.mark.parametrize(
    ("resource", "value", "text"),
    [
        ("cpu", 1500, "1500m"),
        ("cpu", 2000, "2"),
        ("memory", 3 * 2**29, "1.5Gi"),
        ("memory", 2**20, "1Mi"),
        ("memory", 5, "5"),
        ("example.com/gpu", 4, "4"),
    ],
)
def test_amounts_are_short(resource: str, value: int, text: str) -> None:
    assert shown_amount(resource, value) == text
