"""The examples of docs/why.md run as they are, and print what it says they print."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.test_library import BLOCK

ROOT = Path(__file__).resolve().parents[2]


def test_every_block_prints_what_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    blocks = list(BLOCK.finditer((ROOT / "docs/why.md").read_text()))
    assert len(blocks) == 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block["code"], "docs/why.md", "exec"), names)
        assert capsys.readouterr().out == block["output"]
