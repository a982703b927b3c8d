"""kube-scheduler's recorded decisions are ours, wherever only rules take part that exist here."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.golden.scheduling_replay import replay_file

FOLDER = Path(__file__).parent / "scheduling"

# Decisions that could be compared when this was written. The number may only grow: a rule that is
# added brings more of them within reach.
COMPARED = {
    "examples": 381,
    "images": 390,
    "inter-pod-affinity": 2046,
    "invalid": 27,
    "mixed": 1631,
    "node-affinity": 1320,
    "ports": 833,
    "preemption": 1146,
    "resources": 1543,
    "spread": 1017,
    "taints": 929,
    "volumes": 2095,
}


@pytest.mark.parametrize("theme", sorted(COMPARED))
def test_recorded_decisions_are_ours(theme: str) -> None:
    tally = replay_file(FOLDER / f"{theme}.jsonl.gz")
    assert tally.differences == []
    assert tally.n_compared >= COMPARED[theme]
