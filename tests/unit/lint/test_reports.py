"""SARIF, GitHub's commands and text: what their readers count on."""

from __future__ import annotations

import json

import pytest

from kubeberth.library.field_lines import Place
from kubeberth.lint.finding import Finding
from kubeberth.lint.linter import Report, lint
from kubeberth.lint.reports import github, sarif, text
from kubeberth.lint.rule import Severity
from kubeberth.lint.rules import RULES

MANIFEST = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: wéb}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector:
        "beta.kubernetes.io/os": linux
      nodeName: a  # berth: ignore KB106 a lab
      containers: [{name: web, image: nginx}]
"""


@pytest.fixture
def report():
    return lint({"deploy/my web.yaml": MANIFEST})


def test_sarif_has_what_the_standard_requires(report):
    log = json.loads(sarif.render(report, RULES.values()))
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "berth lint"
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
    for result in run["results"]:
        assert result["message"]["text"]
        assert result["level"] in ("error", "warning", "note")
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        [location] = result["locations"]
        region = location["physicalLocation"]["region"]
        assert region["startLine"] >= 1
        assert region["startColumn"] >= 1


def test_sarif_names_files_as_uris_and_shows_where_in_them(report):
    results = json.loads(sarif.render(report, RULES.values()))["runs"][0]["results"]
    renamed = next(result for result in results if result["ruleId"] == "KB109")
    where = renamed["locations"][0]["physicalLocation"]
    assert where["artifactLocation"]["uri"] == "deploy/my%20web.yaml"
    region = where["region"]
    start = region["charOffset"]
    found = MANIFEST[start : start + region["charLength"]]
    assert found == '"beta.kubernetes.io/os"'
    [change] = renamed["fixes"][0]["artifactChanges"]
    [replacement] = change["replacements"]
    assert replacement["insertedContent"]["text"] == '"kubernetes.io/os"'


def test_sarif_keeps_what_is_suppressed_with_its_reason(report):
    results = json.loads(sarif.render(report, RULES.values()))["runs"][0]["results"]
    [suppressed] = [result for result in results if "suppressions" in result]
    assert suppressed["ruleId"] == "KB106"
    assert suppressed["suppressions"] == [{"kind": "inSource", "justification": "a lab"}]


def test_sarif_of_nothing_is_a_run_without_results():
    log = json.loads(sarif.render(Report(), RULES.values()))
    assert log["runs"][0]["results"] == []


def test_absolute_paths_become_file_uris(report):
    absolute = lint({"/srv/web.yaml": MANIFEST})
    results = json.loads(sarif.render(absolute, RULES.values()))["runs"][0]["results"]
    uri = results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "file:///srv/web.yaml"


def test_github_annotates_the_line():
    place = Place(3, 5)
    finding = Finding(
        RULES["KB002"], Severity.WARNING, "50% is\nbad", "a,b.yaml", place, "Pod", "", "web"
    )
    assert github.line(finding) == (
        "::warning file=a%2Cb.yaml,line=3,col=5,title=KB002 unknown-field::Pod web: 50%25 is%0Abad"
    )


def test_an_excerpt_marks_what_is_wrong(report):
    [renamed] = [finding for finding in report.findings if finding.rule.id == "KB109"]
    assert text.excerpt(renamed, MANIFEST.split("\n")) == [
        '   10 |         "beta.kubernetes.io/os": linux',
        "      |         ^^^^^^^^^^^^^^^^^^^^^^^",
    ]


def test_a_summary_counts(report):
    assert text.summary(report.findings, 1) == "1 error, 1 warning found in 1 file"
    assert text.summary([], 2) == "nothing found in 2 files"
