"""Each of the 133 points of `client_visible.yaml` is held by a test or a recording that exists."""

import ast
import gzip
import json
from functools import cache
from pathlib import Path

import pytest
import yaml

TESTS = Path(__file__).resolve().parents[1]
POINTS = yaml.safe_load(Path(__file__).with_name("client_visible.yaml").read_text())


@cache
def functions_of(path):
    tree = ast.parse((TESTS / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@cache
def scenarios_of(theme):
    with gzip.open(TESTS / f"golden/api/{theme}.jsonl.gz", "rt") as lines:
        return {json.loads(line)["id"] for line in lines}


def exists(name):
    path, _, test = name.partition("::")
    if test:
        return (TESTS / path).exists() and test in functions_of(path)
    kind, _, name = name.partition("/")
    if kind == "kubectl":
        return (TESTS / f"golden/kubectl/{name}.yaml").exists()
    return name in scenarios_of(name.partition("/")[0])


def test_there_are_133_points():
    assert list(POINTS) == list(range(1, 134))


@pytest.mark.parametrize("number", POINTS)
def test_a_point_is_held(number):
    point = POINTS[number]
    assert point["what"]
    assert bool(point.get("by")) != bool(point.get("absent"))
    assert [name for name in point.get("by", ()) if not exists(name)] == []
