"""`berth bench workloads` on a small scale."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from kubeberth.cli.bench import command

SMALL = ["workloads", "--nodes", "5", "--replicas", "20", "--deployments", "4"]


@pytest.mark.slow
def test_deployments_get_their_pods_and_lose_them_and_every_process_has_its_cost() -> None:
    outcome = CliRunner().invoke(command, [*SMALL, "--json"], catch_exceptions=False)
    assert outcome.exit_code == 0
    large, scaled, many = (json.loads(line) for line in outcome.stdout.splitlines())
    assert [large["wish"], scaled["wish"], many["wish"]] == ["created", "scaled to 0", "created"]
    assert (large["n_deployments"], large["replicas"]) == (1, 20)
    assert (many["n_deployments"], many["replicas"]) == (4, 3)
    assert scaled["gone_s"] > 0
    for created in (large, many):
        assert 0 < created["running_s"] <= created["available_s"] + 1
        processes = {cost["process"] for cost in created["costs"]}
        assert processes == {"apiserver", "scheduler", "controllers", "nodes", "load"}


@pytest.mark.slow
def test_figures_are_shown_as_tables() -> None:
    outcome = CliRunner().invoke(command, SMALL, catch_exceptions=False)
    lines = outcome.stdout.splitlines()
    assert lines[0].strip() == "Deployments from the first request on"
    assert any(line.startswith("1 of 20 replicas, scaled to 0") for line in lines)
    assert any(line.startswith("4 of 3 replicas, created") for line in lines)
