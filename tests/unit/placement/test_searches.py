"""Templates that every rule judges alike share what is known of nodes, and no others do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.placement.builders import (
    HOST,
    ZONE,
    Cluster,
    far,
    make_node,
    make_pod,
    near,
    term,
)

from kubeberth.api.core import Pod
from kubeberth.placement.delta import NamespacePut, Nominated, ServicePut
from kubeberth.placement.per_node import NodeView, PerNodeFilter, PodView
from kubeberth.placement.profile import Profile, default_profile
from kubeberth.placement.search import Search
from kubeberth.placement.searches import Searches
from kubeberth.placement.state import MAX_IDLE_TEMPLATES
from kubeberth.placement.ties import FirstAdded

NEAR_WEB = near(term(ZONE, "web", namespaceSelector={}))
FAR_FROM_WEB = far(term(HOST, "web"))
EVENLY = [
    {
        "topologyKey": ZONE,
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
]


class Known:
    """What is known of pods on a cluster of one node."""

    def __init__(self, profile: Profile | None = None) -> None:
        self.cluster = Cluster(make_node("a"))
        self._searches = Searches(self.cluster.state, profile or default_profile(), FirstAdded())

    def of(self, pod: Pod) -> Search:
        self._searches.look_again()
        return self._searches.by_template[self.cluster.state.request(pod)]


def web(namespace: str, **spec: Any) -> Pod:
    return make_pod("one", namespace=namespace, labels={"app": "web"}, **spec)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="no rules"),
        pytest.param({"affinity": NEAR_WEB}, id="a term about all namespaces"),
        pytest.param({"nodeSelector": {ZONE: "a"}}, id="a node selector"),
    ],
)
def test_pods_that_differ_in_their_namespace_alone_share_a_search(spec: dict[str, Any]) -> None:
    known = Known()
    assert known.of(web("red", **spec)) is known.of(web("blue", **spec))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"requests": {"cpu": "1"}}, {"requests": {"cpu": "2"}}, id="amounts"),
        pytest.param({"priority": 1}, {"priority": 2}, id="priority"),
        pytest.param({"nodeSelector": {ZONE: "a"}}, {"nodeSelector": {ZONE: "b"}}, id="selectors"),
        pytest.param({}, {"tolerations": [{"operator": "Exists"}]}, id="tolerations"),
        pytest.param({}, {"affinity": NEAR_WEB}, id="terms"),
    ],
)
def test_pods_that_a_rule_can_tell_apart_have_searches_of_their_own(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    known = Known()
    assert known.of(web("red", **one)) is not known.of(web("red", **other))


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"affinity": FAR_FROM_WEB}, id="a term about their own namespace"),
        pytest.param({"topologySpreadConstraints": EVENLY}, id="a spread constraint"),
    ],
)
def test_pods_whose_rules_mean_their_own_namespace_have_searches_of_their_own(
    spec: dict[str, Any],
) -> None:
    known = Known()
    assert known.of(web("red", **spec)) is not known.of(web("blue", **spec))


def test_what_they_share_ends_when_a_pod_shuns_one_of_them() -> None:
    known = Known()
    assert known.of(web("red")) is known.of(web("blue"))
    known.cluster.bind(make_pod("loner", namespace="red", affinity=FAR_FROM_WEB), "a")
    assert known.of(web("red")) is not known.of(web("blue"))
    assert known.cluster.decide(web("red")).node is None
    assert known.cluster.decide(web("blue")).node == "a"


def test_what_they_share_ends_when_a_service_spreads_one_of_them() -> None:
    known = Known()
    assert known.of(web("red")) is known.of(web("blue"))
    known.cluster.state.apply(ServicePut("red", "web", {"app": "web"}))
    assert known.of(web("red")) is not known.of(web("blue"))


def test_what_they_share_ends_when_a_namespace_is_labelled() -> None:
    known = Known()
    far_from_sea = far(term(HOST, "web", namespaceSelector={"matchLabels": {"team": "sea"}}))
    known.cluster.bind(make_pod("loner", affinity=far_from_sea), "a")
    assert known.of(web("red")) is known.of(web("blue"))
    known.cluster.state.apply(NamespacePut("red", {"team": "sea"}))
    assert known.of(web("red")) is not known.of(web("blue"))


class NoGuests(PerNodeFilter):
    name = "NoGuests"

    def refuse(self, pod: PodView, node: NodeView) -> str | None:
        return "node(s) take no guests" if pod.namespace == "guests" else None


def test_a_rule_that_does_not_say_what_it_goes_by_is_asked_about_every_template() -> None:
    profile = default_profile()
    known = Known(replace(profile, filters=(*profile.filters, NoGuests())))
    assert known.of(web("guests")) is not known.of(web("family"))


def test_what_they_share_outlives_the_template_that_it_was_worked_out_for() -> None:
    cluster = Cluster(make_node("a"))
    assert cluster.decide(web("red")).node == "a"
    assert cluster.place(web("blue")) == "a"
    for priority in range(1, 2 * MAX_IDLE_TEMPLATES):
        cluster.state.request(web("red", priority=priority))

    # To ask whether a pod fits beside one that is nominated takes all of its rules.
    cluster.state.apply(Nominated(make_pod("urgent", priority=10), "a"))
    assert cluster.decide(web("blue")).node == "a"
