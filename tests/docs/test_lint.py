"""What docs/lint.md shows is what is printed, and its table holds every rule."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner
from tests.lint.cases import DOCS, with_table

from kubeberth.cli import berth

SHOWN = re.compile(r"^```console\n\$ berth (?P<command>.*)\n(?P<output>(?:(?!```).*\n)*)```$", re.M)
BLOCKS = list(SHOWN.finditer(DOCS.read_text()))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["command"][:40])
def test_commands_print_what_is_shown(block, monkeypatch):
    monkeypatch.chdir(DOCS.parents[1])
    assert CliRunner().invoke(berth, block["command"].split()).stdout == block["output"]


def test_there_is_something_shown():
    assert len(BLOCKS) == 2


def test_the_table_of_rules_is_up_to_date():
    assert with_table(DOCS.read_text()) == DOCS.read_text()
