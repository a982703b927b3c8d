"""The example of docs/capacity.md prints what it says it prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from kubeberth.cli import berth

ROOT = Path(__file__).resolve().parents[2]
SHOWN = re.compile(r"```\n\$ berth (?P<command>.*)\n(?P<output>(?:.*\n)*?)```")


def test_the_command_prints_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    shown = SHOWN.search((ROOT / "docs/capacity.md").read_text())
    assert shown is not None
    done = CliRunner().invoke(berth, shown["command"].split())
    assert (done.exit_code, done.output) == (0, shown["output"])


@pytest.mark.parametrize(
    ("options", "code"),
    [
        pytest.param(["--at-least", "4"], 0, id="enough"),
        pytest.param(["--at-least", "99"], 1, id="too few"),
        pytest.param(["--mix", "web"], 2, id="a mix without a number"),
        pytest.param(["--mix", "other=1"], 2, id="a mix of what is not there"),
    ],
)
def test_the_exit_code_says_what_it_came_to(
    options: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    files = ["-f", "examples/capacity/cache.yaml", "--cluster", "examples/why/cluster.yaml"]
    done = CliRunner().invoke(berth, ["capacity", *files, *options])
    assert done.exit_code == code, done.output
    assert (code == 2) == done.output.startswith("error: --mix")
