"""The registry: what every rule has, and that ids stay what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubeberth.lint import rules
from kubeberth.lint.rules import RULES


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_explains_itself(rule):
    assert rule.summary.endswith(".")
    assert len(rule.explanation.strip().split("\n\n")) >= 2
    assert rule.name == rule.name.lower()


def test_every_file_of_a_rule_is_in_the_registry():
    files = {path.stem for path in Path(rules.__file__).parent.glob("*.py")} - {"__init__"}
    assert {rule.name.replace("-", "_") for rule in RULES.values()} == files


def test_names_and_ids_are_used_once():
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
    assert list(RULES) == sorted(RULES)
