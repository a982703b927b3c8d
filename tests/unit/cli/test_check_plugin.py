"""`berth check-plugin` on the plugin of the examples, as if its package were installed."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from own_plugin.quiet_racks import QuietRacks

from kubeberth.cli import check_plugin
from kubeberth.errors import UsageError

CLOSED = """
kind: Node
metadata: {name: closed, labels: {example.com/maintenance: "true", example.com/noise: "40"}}
"""


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setattr(check_plugin, "own_plugins", lambda: {"QuietRacks": QuietRacks})

    def invoke(*arguments):
        arguments = [str(argument) for argument in arguments]
        return CliRunner().invoke(check_plugin.command, arguments, catch_exceptions=False)

    return invoke


def test_a_plugin_that_never_tells_nodes_apart_wants_other_nodes(run):
    shown = run("QuietRacks", "--clusters", 4)
    assert shown.exit_code == 0
    assert (
        "It told no two nodes apart: name nodes that matter to it with --filename" in shown.output
    )


def test_nodes_of_a_file_take_part(run, tmp_path):
    file = tmp_path / "nodes.yaml"
    file.write_text(CLOSED)
    shown = run("QuietRacks", "--clusters", 8, "--filename", file)
    assert shown.output.startswith("QuietRacks keeps its word: 8 clusters, ")
    assert "refusals, scores from 60 to 100." in shown.output


def test_an_unknown_plugin_is_named_beside_the_known_ones(run):
    with pytest.raises(UsageError, match='there is no plugin "X"; installed: QuietRacks'):
        run("X")


def test_a_file_without_nodes_is_refused(run, tmp_path):
    file = tmp_path / "nodes.yaml"
    file.write_text("metadata: []")
    with pytest.raises(UsageError, match="holds no nodes: Expected `object`, got `array`"):
        run("QuietRacks", "--filename", file)


def test_a_fault_is_told_in_one_line(run, monkeypatch):
    monkeypatch.setattr(QuietRacks, "rate", lambda self, pod, node: 101)
    with pytest.raises(UsageError) as raised:
        run("QuietRacks")
    assert str(raised.value) == (
        'QuietRacks ends the attempt: plugin "QuietRacks" returns an invalid score 101, it should '
        "in the range of [0, 100] after normalizing [node-0 came]"
    )
