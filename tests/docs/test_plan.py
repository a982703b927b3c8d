"""The examples of docs/plan.md run as they are, and print what it says they print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.docs.test_library import BLOCK

from kubeberth.cli.plan import command

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/plan.md"
CONSOLE = re.compile(r"```console\n\$ berth plan (?P<arguments>.*)\n(?P<output>(?s:.*?))```")


README = re.search(r"```\n\$ berth plan (.*)\n((?s:.*?))```", (ROOT / "README.md").read_text())
assert README is not None
EXAMPLES = [*CONSOLE.findall(PAGE.read_text()), README.groups()]


def run(arguments: str) -> str:
    return CliRunner().invoke(command, shlex.split(arguments)).output


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each[0])
def test_every_command_prints_what_is_shown(example, monkeypatch):
    arguments, shown = example
    monkeypatch.chdir(ROOT / "examples/plan")
    assert run(arguments) == shown


def test_the_python_block_prints_what_is_shown(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (block,) = BLOCK.finditer(PAGE.read_text())
    exec(compile(block["code"], "docs/plan.md", "exec"), {})
    assert capsys.readouterr().out == block["output"]
