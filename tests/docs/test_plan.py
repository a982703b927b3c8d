"""The examples of docs/plan.md run as they are, and print what it says they print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from kubeberth.cli.plan import command

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/plan.md"
CONSOLE = re.compile(r"```console\n\$ berth plan (?P<arguments>.*)\n(?P<output>(?s:.*?))```")


def run(arguments: str) -> str:
    return CliRunner().invoke(command, shlex.split(arguments)).output


@pytest.mark.parametrize("example", CONSOLE.findall(PAGE.read_text()), ids=lambda each: each[0])
def test_every_command_prints_what_is_shown(example, monkeypatch):
    arguments, shown = example
    monkeypatch.chdir(ROOT / "examples/plan")
    assert run(arguments) == shown
