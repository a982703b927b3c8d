"""A few kills of controllers amid rollouts; `benchmarks/soak_rollouts.py` does a hundred."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from benchmarks.soak_rollouts import soak
from benchmarks.soaking import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

N_NODES = 4


def test_controllers_that_are_killed_amid_rollouts_break_no_promise(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, N_NODES)
    try:
        broken, auditor, storm = asyncio.run(
            soak(cluster, 6, N_NODES, seed=5, pause_s=1.5, tell=lambda _: None)
        )
        assert cluster.complaints() == []
    finally:
        cluster.stop()
    assert broken == [], [auditor.story(each, storm.killed_at) for each in auditor.broken]
    # All of it has happened, or nothing was tried.
    assert len(storm.killed_at) > 3
    assert sum(version > 0 for version in storm.versions.values()) > 3
    assert all(auditor.n_looks[name] for name in storm.versions)
