"""`berth bench nodes` on a small scale."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from kubeberth.cli.bench import command

SMALL = ["nodes", "--nodes", "5", "--pods-per-node", "2"]
# Longer than every node needs to renew its lease.
ROUND = ["--idle", "11"]


@pytest.mark.slow
def test_nodes_run_their_pods_and_write_little_more_than_their_leases_while_idle() -> None:
    outcome = CliRunner().invoke(command, [*SMALL, *ROUND, "--json"], catch_exceptions=False)
    assert outcome.exit_code == 0
    started, idle = (json.loads(line) for line in outcome.stdout.splitlines())
    assert (started["n_nodes"], started["n_pods"]) == (5, 10)
    assert started["running_per_second"] > 0
    assert idle["n_pods"] == 10
    assert idle["budget_per_second"] == pytest.approx(5 / 10 + 5 / 300)
    assert 0 < idle["writes_per_second"] < 5
    for entry in (started, idle):
        processes = {cost["process"] for cost in entry["costs"]}
        assert processes == {"apiserver", "scheduler", "controllers", "nodes", "load"}


@pytest.mark.slow
def test_figures_of_nodes_are_shown_as_tables() -> None:
    outcome = CliRunner().invoke(command, [*SMALL, "--idle", "1"], catch_exceptions=False)
    titles = [line.strip() for line in outcome.stdout.splitlines()]
    assert titles[0] == "Pods that name their nodes"
    assert "Idle" in titles
