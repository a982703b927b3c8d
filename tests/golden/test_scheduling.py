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


@pytest.mark.parametrize("theme", sorted(COMPARED))
def test_recorded_decisions_are_ours(theme: str) -> None:
    tally = replay_file(FOLDER / f"{theme}.jsonl.gz")
    assert tally.differences == []
    assert tally.n_compared >= COMPARED[theme]
