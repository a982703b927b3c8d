"""The examples of docs/library.md run as they are, and print what it says they print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/library.md").read_text()
# A block of code, and the block of output that may follow it.
BLOCK = re.compile(r"```python\n(?P<code>.*?)```(?:\n+```text\n(?P<output>.*?)```)?", re.DOTALL)
_SHELL = re.compile(r"```\n\$ python (?P<command>[^\n]+)\n(?P<output>.*?)```", re.DOTALL)


def test_every_block_prints_what_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    blocks = list(BLOCK.finditer(TEXT))
    assert len(blocks) > 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block["code"], "docs/library.md", "exec"), names)
        assert capsys.readouterr().out == (block["output"] or "")


def test_every_command_prints_what_is_shown() -> None:
    commands = list(_SHELL.finditer(TEXT))
    assert commands
    for command in commands:
        run = subprocess.run(
            [sys.executable, *command["command"].split()],
            cwd=ROOT,
            env={"PYTHONPATH": "src"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout == command["output"]


def test_every_method_is_named() -> None:
    from kubeberth import Cluster

    public = [name for name in vars(Cluster) if not name.startswith("_")]
    assert [name for name in public if f"`{name}" not in TEXT and f".{name}" not in TEXT] == []
