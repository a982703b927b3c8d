"""`berth bench engine` measures what it is told to, as a table or as JSON."""

from __future__ import annotations

import json

from click.testing import CliRunner

from kubeberth.cli.bench import command

SMALL = ["engine", "--nodes", "20", "--pods", "100", "--repeats", "1"]


def test_a_line_of_json_for_each_result() -> None:
    outcome = CliRunner().invoke(command, [*SMALL, "--only", "basic", "--json"])
    assert outcome.exit_code == 0
    results = [json.loads(line) for line in outcome.stdout.splitlines()]
    placed = {r["workload"]: r["n_placed"] for r in results if "workload" in r}
    assert placed == {"basic": 100, "basic, with churn": 100}
    assert all(r["n_nodes"] == 20 for r in results)
    assert any("first_sight" in r for r in results)


def test_a_workload_that_finds_too_few_nodes_says_so() -> None:
    outcome = CliRunner().invoke(command, [*SMALL, "--only", "host anti-affinity"])
    assert outcome.exit_code == 0
    assert "host anti-affinity (20 of 100)" in outcome.stdout


def test_an_unknown_workload_is_answered_with_those_that_there_are() -> None:
    outcome = CliRunner().invoke(command, [*SMALL, "--only", "nonsense"])
    assert outcome.exit_code == 2
    assert "no workload has 'nonsense' in its name; there are 'basic'" in outcome.stderr
