"""kube-scheduler's recorded decisions are ours, wherever only rules take part that exist here."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.golden.scheduling_replay import replay_file

FOLDER = Path(__file__).parent / "scheduling"

# Decisions that could be compared when this was written. The number may only grow: a rule that is
# added brings more of them within reach.
COMPARED = {
    "config-overrides": 1145,
    "examples": 448,
    "images": 183,
    "inter-pod-affinity": 2025,
    "invalid": 27,
    "mixed": 1807,
    "node-affinity": 1352,
    "ports": 819,
    "preemption": 1336,
    "resources": 1452,
    "spread": 1952,
    "taints": 949,
    "trace": 0,
    "volumes": 782,
}


@pytest.mark.parametrize("theme", sorted(COMPARED))
def test_recorded_decisions_are_ours(theme: str) -> None:
    tally = replay_file(FOLDER / f"{theme}.jsonl.gz")
    assert tally.differences == []
    assert tally.n_compared >= COMPARED[theme]
