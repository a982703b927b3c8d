"""Conditions on a plan, in words."""

from __future__ import annotations

import pytest
from tests.unit.planner.clusters import deployment, plan, pod, priority_class, zones

from kubeberth.errors import UsageError
from kubeberth.planner.assertions import parse_assertion

SPREAD = plan(zones(3), deployment("web", 4))
TIGHT = plan(zones(2, cpu="1"), deployment("web", 3))
PREEMPTING = plan(
    [*zones(1, cpu="1"), priority_class("high", 9), pod("low", node_name="n1")],
    pod("boss", priorityClassName="high"),
)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (SPREAD, "no pod pending"),
        (SPREAD, "no pods of web are pending"),
        (SPREAD, "no preemption"),
        (SPREAD, "no rollout stuck"),
        (SPREAD, "web spread over >= 3 zones"),
        (SPREAD, "deployment/web spread over == 3 nodes"),
        (SPREAD, "web skew <= 1"),
        (SPREAD, "web placed = 4"),
        (SPREAD, "web per node <= 2"),
        (SPREAD, "node utilisation cpu <= 50%"),
        (SPREAD, "cluster utilization cpu < 34 %"),
        (SPREAD, "nodes used <= 3"),
    ],
)
def test_a_condition_that_holds(found, text):
    assert parse_assertion(text).check(found).holds


@pytest.mark.parametrize(
    ("found", "text", "why"),
    [
        (TIGHT, "no pod pending", "default/web-"),
        (TIGHT, "no pod of deployment/web pending", "default/web-"),
        (TIGHT, "node utilisation cpu < 80%", "n1 is at 100%, n2 is at 100%"),
        (TIGHT, "web spread over >= 3 zones", "it is on 2: a, b"),
        (TIGHT, "web placed > 2", "it is 2"),
        (SPREAD, "web per zone < 2", "a has 2"),
        (SPREAD, "web skew < 1", "it is 1: a 2, b 1, c 1"),
        (SPREAD, "zone utilisation cpu < 30%", "a is at 50%"),
        (SPREAD, "nodes used < 3", "they are 3"),
        (PREEMPTING, "no preemption", "default/low on n1"),
    ],
)
def test_a_condition_that_does_not_hold_says_what_is_otherwise(found, text, why):
    checked = parse_assertion(text).check(found)
    assert not checked.holds
    assert checked.why.startswith(why)


@pytest.mark.parametrize("text", ["", "all is well", "web spread over many zones", "cpu < 80%"])
def test_what_states_no_condition_is_refused(text):
    with pytest.raises(UsageError, match="cannot understand the assertion"):
        parse_assertion(text)


def test_a_condition_on_what_the_plan_does_not_have_is_refused():
    with pytest.raises(UsageError, match='no workload called "wbe"; it has: web'):
        parse_assertion("wbe skew < 1").check(SPREAD)
    with pytest.raises(UsageError, match='no node has the resource "gpu"'):
        parse_assertion("node utilisation gpu < 1%").check(SPREAD)
