"""kube-scheduler's recorded decisions are ours, wherever only rules take part that exist here."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.golden.scheduling_replay import replay_file

FOLDER = Path(__file__).parent / "scheduling"

# Decisions that could be compared when this was written. The number may only grow: a rule that is
# added brings more of them within reach.
COMPARED = {
    "config-overrides": 1286,
    "examples": 448,
    "images": 415,
    "inter-pod-affinity": 2147,
    "invalid": 28,
    "mixed": 2154,
    "node-affinity": 1418,
    "ports": 857,
    "preemption": 1378,
    "resources": 1595,
    "spread": 2080,
    "taints": 990,
    "trace": 2000,
    "volumes": 2140,
}

# Scenarios whose objects the API server refuses, and admitted pods.
REFUSED, ADMITTED = 246, 713


@pytest.mark.parametrize("theme", sorted(COMPARED))
def test_recorded_decisions_are_ours(theme: str) -> None:
    tally = replay_file(FOLDER / f"{theme}.jsonl.gz")
    assert tally.differences == []
    assert tally.n_compared >= COMPARED[theme]


def test_the_same_objects_are_refused_for_the_same_reasons() -> None:
    tally = replay_file(FOLDER / "invalid.jsonl.gz")
    assert tally.differences == []
    assert tally.n_refusals >= REFUSED


def test_admitted_pods_look_as_recorded() -> None:
    tally = replay_file(FOLDER / "admission.jsonl.gz")
    assert tally.differences == []
    assert tally.n_admitted >= ADMITTED
