"""Finds the test or the recording that is named as holding a point."""

import ast
import gzip
import json
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def exists(name: str) -> bool:
    """Return whether there is what `name` names.

    `PATH::TEST` is a test, also one of a class; `kubectl/NAME` a recorded session, `api/THEME/NAME`
    recorded exchanges with the real API server, `kubelet/FILE/THEME` recorded decisions of the real
    kubelet.
    """
    path, _, test = name.partition("::")
    if test:
        return (TESTS / path).exists() and test in _functions_of(path)
    kind, _, name = name.partition("/")
    if kind == "kubectl":
        return (TESTS / f"golden/kubectl/{name}.yaml").exists()
    first, _, rest = name.partition("/")
    if kind == "kubelet":
        return rest in _kubelet_themes(first)
    return name in _api_scenarios(first)


@cache
def _functions_of(path: str) -> set[str]:
    tree = ast.parse((TESTS / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@cache
def _api_scenarios(theme: str) -> set[str]:
    with gzip.open(TESTS / f"golden/api/{theme}.jsonl.gz", "rt") as lines:
        return {json.loads(line)["id"] for line in lines}


@cache
def _kubelet_themes(file: str) -> set[str]:
    with gzip.open(TESTS / f"golden/kubelet/{file}.jsonl.gz", "rt") as lines:
        return {json.loads(line)["scenario"]["theme"] for line in lines}
