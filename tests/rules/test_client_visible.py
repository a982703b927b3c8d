"""Each of the 133 points of `client_visible.yaml` is held by a test or a recording that exists."""

from pathlib import Path

import pytest
import yaml
from tests.rules.held import exists

POINTS = yaml.safe_load(Path(__file__).with_name("client_visible.yaml").read_text())


def test_there_are_133_points():
    assert list(POINTS) == list(range(1, 134))


@pytest.mark.parametrize("number", POINTS)
def test_a_point_is_held(number):
    point = POINTS[number]
    assert point["what"]
    assert bool(point.get("by")) != bool(point.get("absent"))
    assert [name for name in point.get("by", ()) if not exists(name)] == []
