"""A plan in every form."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from xml.etree import ElementTree

import yaml
from msgspec.structs import replace
from tests.unit.planner.clusters import deployment, node, plan, pod, priority_class, zones

from kubeberth.planner.assertions import parse_assertion
from kubeberth.planner.plan import Pending, PlannedPod, Uncalled, Warned
from kubeberth.planner.reports import FORMS, render, render_comparison
from kubeberth.planner.reports.html import to_html

FOUND = plan(
    [*zones(3), priority_class("high", 9), deployment("old", 9)],
    deployment("web", 5),
    pod("boss", cpu="3", priorityClassName="high"),
    drain=("n3",),
)
CHECKED = [parse_assertion(text).check(FOUND) for text in ("no pod pending", "no pod lost")]


def test_the_text_has_workloads_reasons_victims_and_utilisation():
    text = render("text", FOUND, CHECKED)
    lines = text.splitlines()
    assert lines[0].endswith("preempted, 4 drained")
    assert any(line.split()[:2] == ["WORKLOAD", "PODS"] for line in lines)
    assert any(line.startswith("PENDING default/") and "Insufficient cpu" in line for line in lines)
    assert any(line.startswith("PREEMPTED default/old-") for line in lines)
    assert any(line.startswith("FAILED  no pod pending: default/") for line in lines)
    assert "ok      no pod lost" in lines


def test_json_and_yaml_say_the_same():
    document = json.loads(render("json", FOUND, CHECKED))
    assert yaml.safe_load(render("yaml", FOUND, CHECKED)) == document
    assert document["summary"]["pending"] == FOUND.n_pending
    assert document["assertions"][0]["holds"] is False
    assert document["nodes"][0]["resources"]["cpu"]["allocatable"] == 4000


def test_junit_has_a_case_for_each_workload_and_assertion():
    suite = ElementTree.fromstring(render("junit", FOUND, CHECKED))
    cases = {case.get("name"): case.find("failure") is not None for case in suite}
    assert cases["Pod/boss has its place"] is False
    assert cases["no pod pending"] is True
    assert suite.get("tests") == str(len(cases))
    assert suite.get("failures") == str(sum(cases.values()))


def test_markdown_tables_have_as_many_cells_in_every_row():
    rows = [line for line in render("markdown", FOUND).splitlines() if line.startswith("|")]
    for zone_table in (rows[:3], rows[-3:]):
        assert len({row.count("|") for row in zone_table}) == 1


class Page(HTMLParser):
    """Counts what is open, and collects where a page would fetch something from."""

    def __init__(self):
        super().__init__()
        self.open, self.fetched, self.n_tiles = [], [], 0

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.fetched += [given[name] for name in ("src", "href") if name in given]
        self.n_tiles += tag == "i" and given.get("class") == "new"
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_fetches_nothing():
    text = render("html", FOUND, CHECKED)
    page = Page()
    page.feed(text)
    assert (page.open, page.fetched) == ([], [])
    assert "<script" not in text
    assert page.n_tiles == FOUND.n_placed


def test_the_page_marks_nodes_that_are_closed():
    shut, ill = node("shut"), node("ill")
    shut["spec"] = {"unschedulable": True}
    ill["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    found = plan([node("fine"), shut, ill], deployment("web", 1))
    assert {each.name: each.closed for each in found.nodes} == {
        "fine": "",
        "ill": "not ready",
        "shut": "cordoned",
    }
    page = to_html(found)
    assert page.count('class="node closed"') == 2
    assert '<b>shut</b> <span class="bad">cordoned</span>' in page


def test_names_cannot_break_out_of_the_page():
    evil = PlannedPod("x/<script>", '"><script>', "n1", "a")
    group = Pending("<script>", ("x/<script>",), '"><script>')
    page = render("html", replace(FOUND, pods=(evil,), pending=(group,)))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_comparison_says_what_moves():
    spread, packed = plan(zones(3), deployment("web", 3)), plan(zones(1), deployment("web", 3))
    lines = [line.split() for line in render_comparison("text", spread, packed).splitlines()]
    assert ["nodes", "used", "3", "1"] in lines
    assert ["Deployment/web", "2", "3", "->", "1"] in [line[:5] for line in lines]
    compared = json.loads(render_comparison("json", spread, packed))
    assert compared["nodesUsed"] == [3, 1]
    assert "every pod lands on the same node" in render_comparison("text", spread, spread)


def test_every_form_can_be_made():
    empty = plan(zones(1))
    assert all(render(form, empty) for form in FORMS)


def test_every_form_says_what_a_plan_is_told_and_does_without():
    found = replace(
        FOUND,
        uncalled=(Uncalled("ValidatingWebhookConfiguration", "guard"),),
        unread=("not allowed to list limitranges: taken for none",),
        warnings=(Warned("app.yaml:1", "would violate PodSecurity"),),
    )
    for form in FORMS:
        text = render(form, found, CHECKED)
        for word in ("guard", "limitranges", "app.yaml:1", "would violate PodSecurity"):
            assert word in text, (form, word)
