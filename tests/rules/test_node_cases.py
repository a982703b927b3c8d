"""Each of the 155 cases of `node_cases.yaml` is held by a test or a recording that exists."""

from pathlib import Path

import pytest
import yaml
from tests.rules.held import exists

CASES = yaml.safe_load(Path(__file__).with_name("node_cases.yaml").read_text())


def test_there_are_155_cases():
    assert list(CASES) == [f"N{number}" for number in range(1, 156)]


@pytest.mark.parametrize("number", CASES)
def test_a_case_is_held(number):
    case = CASES[number]
    assert case["what"]
    assert bool(case.get("by")) != bool(case.get("absent"))
    assert [name for name in case.get("by", ()) if not exists(name)] == []
