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
    "images": 175,
    "inter-pod-affinity": 1934,
    "invalid": 26,
    "mixed": 1402,
    "node-affinity": 1262,
    "ports": 796,
    "preemption": 1281,
    "resources": 1409,
    "spread": 968,
    "taints": 896,
    "volumes": 762,
}


@pytest.mark.parametrize("theme", sorted(COMPARED))
def test_recorded_decisions_are_ours(theme: str) -> None:
    tally = replay_file(FOLDER / f"{theme}.jsonl.gz")
    assert tally.differences == []
    assert tally.n_compared >= COMPARED[theme]
