"""`berth bench cluster` on a small scale, and how it ends when it is told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from kubeberth.cli.bench import command

SMALL = ["cluster", "--nodes", "5", "--pods", "100", "--rate", "20"]


@pytest.mark.slow
def test_every_pod_that_fits_gets_a_node_and_every_process_has_its_cost() -> None:
    arguments = [*SMALL, "--only", "zone spread", "--placed", "50", "--json"]
    outcome = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0
    results = [json.loads(line) for line in outcome.stdout.splitlines()]
    names = [(r["workload"], r["rate"]) for r in results]
    assert names == [
        ("hard zone spread", 0),
        ("soft zone spread", 0),
        ("hard zone spread", 20),
    ]
    for result in results:
        assert result["n_bound"] == result["n_pods"] >= 100
        assert 0 < result["p50_ms"] <= result["p99_ms"]
        assert 0 < result["answered_p50_ms"] <= result["answered_p99_ms"]
        assert result["running_s"] > 0
        processes = {cost["process"] for cost in result["costs"]}
        assert processes == {"apiserver", "scheduler", "controllers", "nodes", "load"}


@pytest.mark.slow
def test_a_scheduler_that_starts_finds_the_pods_that_are_there() -> None:
    arguments = [*SMALL, "--only", "start", "--placed", "50", "--json"]
    outcome = CliRunner().invoke(command, arguments, catch_exceptions=False)
    (result,) = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert (result["n_nodes"], result["n_pods"]) == (5, 50)
    assert result["seconds"] > 0


def test_an_unknown_workload_is_answered_with_those_that_there_are() -> None:
    outcome = CliRunner().invoke(command, [*SMALL, "--only", "nonsense"])
    assert outcome.exit_code == 2
    assert "no workload has 'nonsense' in its name; there are 'basic'" in outcome.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_what_it_knows_and_leaves_nothing_behind(
    number: int, tmp_path: Path
) -> None:
    arguments = ["bench", "cluster", "--nodes", "5", "--pods", "100", "--rate", "1", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "kubeberth", *arguments, "--only", "basic"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever starts the tests in the background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    while not list(tmp_path.glob("*/cluster/store/*")):
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "Interrupted."
    assert all(json.loads(line)["n_bound"] == 100 for line in out.splitlines())
    assert list(tmp_path.iterdir()) == []
