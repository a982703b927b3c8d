"""Every rule: manifests in which it finds what one would hope for, and manifests near to them."""

from __future__ import annotations

import pytest

from kubeberth.lint.rules import RULES
from tests.lint.cases import BROKEN, SOUND, report_of, shown


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.stem)
def test_what_is_broken_is_found(case):
    report = report_of(case)
    assert shown(report) == case.with_suffix(".txt").read_text()
    assert case.stem[:5] in {finding.rule.id for finding in report.findings}


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.stem)
def test_nothing_is_said_of_what_is_sound(case):
    assert shown(report_of(case)) == ""


@pytest.mark.parametrize("rule_id", RULES)
def test_every_rule_has_cases_of_both_kinds(rule_id):
    for cases in (BROKEN, SOUND):
        assert any(case.name.startswith(f"{rule_id}-") for case in cases)


def test_there_are_fifty_broken_manifests_at_least():
    assert len(BROKEN) >= 50
