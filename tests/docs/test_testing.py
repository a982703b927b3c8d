"""The test files of docs/testing.md pass as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.testing.test_pytest_plugin import run

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

PAGE = (Path(__file__).resolve().parents[2] / "docs/testing.md").read_text()
FILES = re.findall(r"```python\n(.*?)```", PAGE, re.S)

__all__ = ["run"]  # the fixture


@pytest.mark.parametrize("number", range(len(FILES)))
def test_the_tests_of_the_page_pass(run, number):
    done = run(FILES[number])
    done.assert_outcomes(passed=FILES[number].count("def test_"))


def test_there_are_several():
    assert len(FILES) == 4
