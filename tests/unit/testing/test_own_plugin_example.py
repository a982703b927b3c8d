"""The example of a plugin of one's own does what its text says."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from own_plugin.quiet_racks import MAINTENANCE, NOISE, QuietRacks
from tests.unit.placement.builders import make_node, make_pod

from kubeberth.errors import UsageError
from kubeberth.extensions import load
from kubeberth.placement.delta import NodePut
from kubeberth.placement.engine import Engine
from kubeberth.placement.explain import explain
from kubeberth.placement.state import ClusterState
from kubeberth.scheduler.config import parse_configuration, to_settings
from kubeberth.testing import check_plugin

FOLDER = Path(__file__).resolve().parents[3] / "examples/own_plugin"
NODES = [
    make_node("loud", labels={NOISE: "80"}),
    make_node("quiet", labels={NOISE: "5"}),
    make_node("closed", labels={MAINTENANCE: "true"}),
]


def engine() -> Engine:
    configuration = parse_configuration((FOLDER / "scheduler.yaml").read_bytes())
    settings = to_settings(configuration, {"QuietRacks": QuietRacks}, seed=0)
    state = ClusterState()
    state.apply_all(NodePut(node) for node in NODES)
    return Engine(state, settings.profiles[0])


def test_example_keeps_its_word() -> None:
    report = check_plugin(QuietRacks(), nodes=NODES)
    assert report.n_refusals > 0
    assert {20, 95, 100} <= report.scores


def test_pods_go_to_quiet_racks() -> None:
    found = engine()
    pod = make_pod("web")
    assert found.place(pod).node == "quiet"
    story = explain(found.state, pod, found.profile)
    assert story.rejected["closed"].reasons == ("node(s) were in maintenance",)
    assert story.scores["QuietRacks"] == {"loud": 80, "quiet": 380}


def test_exempt_pods_may_go_to_a_rack_in_maintenance() -> None:
    assert engine().place(make_pod("dns", namespace="kube-system")).node == "closed"


def test_entry_point_of_the_example_names_its_class() -> None:
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]
    value = project["entry-points"]["kubeberth.plugins"]["QuietRacks"]
    assert value.replace(":", ".own:").endswith(":QuietRacks")
    assert load(EntryPoint("QuietRacks", f"own_plugin.{value}", "kubeberth.plugins")) is QuietRacks


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("Missing", "no_such_module:Missing", "cannot be loaded: ModuleNotFoundError"),
        ("NodeName", "own_plugin.quiet_racks:QuietRacks", "has the name of a plugin of kube-sched"),
        ("NOISE", "own_plugin.quiet_racks:NOISE", "must be a class"),
        ("Quiet", "own_plugin.quiet_racks:QuietRacks", 'must have the attribute name = "Quiet"'),
    ],
)
def test_entry_points_that_cannot_be_used_say_why(name: str, value: str, text: str) -> None:
    with pytest.raises(UsageError) as raised:
        load(EntryPoint(name, value, "kubeberth.plugins"))
    start = f'plugin "{name}" ({value}) '
    assert str(raised.value).startswith(start + text)


def test_class_that_does_nothing_is_no_plugin(monkeypatch: Any) -> None:
    idle = type("Idle", (), {"name": "Idle"})
    monkeypatch.setattr("own_plugin.quiet_racks.Idle", idle, raising=False)
    with pytest.raises(UsageError, match="must have a method filter or score"):
        load(EntryPoint("Idle", "own_plugin.quiet_racks:Idle", "kubeberth.plugins"))
