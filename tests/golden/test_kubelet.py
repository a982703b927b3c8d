"""Decisions of kubelet 1.36.2 are ours (tests/golden/kubelet/README.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.replay import kubelet
from tests.replay.kubelet import Tally, replay_file

FOLDER = Path(__file__).parent / "kubelet"

# Scenarios by theme: all of them agree.
TOPOLOGY = {
    "examples": 86,
    "cpu": 200,
    "cpu-options": 220,
    "memory": 190,
    "devices": 150,
    "align": 180,
    "init": 150,
    "mixed": 200,
    "pod-level": 120,
    "restart": 110,
    "start": 100,
    "large": 60,
    "uneven": 30,
    "pipeline": 90,
}
PREDICATES = {
    "resources": 130,
    "pods": 40,
    "extended": 80,
    "node-affinity": 110,
    "ports": 90,
    "taints": 80,
    "os": 60,
    "pressure": 50,
    "sysctls": 50,
    "features": 30,
    "critical": 110,
    "mixed": 100,
}


@cache
def tallies(name: str) -> dict[str, Tally]:
    return replay_file(FOLDER / f"{name}.jsonl.gz")


@pytest.mark.parametrize("theme", TOPOLOGY)
def test_pods_get_the_cpus_memory_and_devices_as_recorded(theme: str) -> None:
    tally = tallies("topology")[theme]
    assert (tally.n_scenarios, tally.differences) == (TOPOLOGY[theme], [])


@pytest.mark.parametrize("theme", PREDICATES)
def test_pods_are_admitted_and_refused_as_recorded(theme: str) -> None:
    tally = tallies("predicates")[theme]
    assert (tally.n_scenarios, tally.differences) == (PREDICATES[theme], [])


def worked_cases() -> Iterator[tuple[str, dict[str, Any]]]:
    for record in kubelet.read(FOLDER / "topology.jsonl.gz"):
        if "case" in record["scenario"]:
            yield record["scenario"]["case"], record


@pytest.mark.parametrize(
    "record", [pytest.param(record, id=case) for case, record in worked_cases()]
)
def test_a_worked_case_of_the_reference(record: dict[str, Any]) -> None:
    ours = json.loads(json.dumps(kubelet.answers(record["scenario"])))
    assert ours == record["expected"]


def test_a_difference_names_the_place_and_both_values() -> None:
    recorded = {"ops": [{"state": {"shared": "0-3"}}]}
    ours = {"ops": [{"state": {"shared": "0,3"}}]}
    (difference,) = kubelet.differences(recorded, ours)
    assert difference == 'ops[0].state.shared: recorded "0-3", ours "0,3"'


def test_a_difference_is_told_of_a_field_that_one_side_lacks() -> None:
    (difference,) = kubelet.differences({"admit": True}, {"admit": True, "reason": "OutOfcpu"})
    assert difference == 'reason: recorded "nothing", ours "OutOfcpu"'


def test_the_script_says_with_its_exit_status_that_something_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = next(record for _, record in worked_cases())
    record["expected"]["ops"][0]["admit"] = not record["expected"]["ops"][0]["admit"]
    path = tmp_path / "altered.jsonl.gz"
    with kubelet.gzip.open(path, "wt") as lines:
        lines.write(json.dumps(record) + "\n")
    assert kubelet.main([str(path)]) == 1
    assert "ops[0].admit: recorded false, ours true" in capsys.readouterr().out
