"""docs/node-isolation.md lists every admission plugin where it belongs."""

import re
from pathlib import Path

import pytest

from kubeberth.apiserver.admission_selection import DEFAULT, NOT_SERVED, OFF_BY_DEFAULT

PAGE = Path(__file__).resolve().parents[2] / "docs/node-isolation.md"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("on", DEFAULT),
        ("off until asked for", OFF_BY_DEFAULT - NOT_SERVED),
        ("not served", NOT_SERVED),
    ],
)
def test_every_plugin_is_in_the_table(row, expected):
    [names] = re.findall(rf"^\| {row} \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert names.split(", ") == sorted(expected)
