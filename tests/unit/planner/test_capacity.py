"""How many more copies fit, counted by placing them."""

from __future__ import annotations

import io
from typing import Any

import pytest
import yaml
from tests.unit.planner.clusters import deployment, workload, zones

from kubeberth.errors import UsageError
from kubeberth.planner.capacity import Capacity, measure, to_shapes
from kubeberth.planner.manifests import read
from kubeberth.planner.planning import Task, carry_out
from kubeberth.planner.reports.capacity import capacity_text

Document = dict[str, Any]


def count(
    cluster: list[Document], *asked: Document, parts: dict[str, int] | None = None, most: int = 1000
) -> Capacity:
    world, _ = carry_out(Task(cluster))
    wanted = read([io.StringIO(yaml.safe_dump_all(asked))]).wanted
    return measure(world.placing.state, to_shapes(world, wanted), parts, most)


def test_copies_are_counted_by_zone_until_one_has_no_node() -> None:
    (room,) = count(zones(3), deployment("web", 3, cpu="1500m")).shapes
    assert (room.copies, room.nodes) == (6, 3)
    assert room.zones == {"a": 2, "b": 2, "c": 2}
    assert "3 Insufficient cpu" in room.message
    assert room.obstacles[0].reason == "Insufficient cpu"


def test_what_runs_already_takes_its_room() -> None:
    (room,) = count(
        [*zones(1), deployment("web", 2, cpu="1")], deployment("web", 1, cpu="1")
    ).shapes
    assert room.copies == 2


def test_claims_that_copies_bring_with_them_are_made_where_they_are() -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    volume = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}
    (room,) = count(zones(2), deployment("web", 1, cpu="2", volumes=[volume])).shapes
    assert room.copies == 4


def test_each_shape_has_the_cluster_to_itself_and_a_mix_shares_it() -> None:
    found = count(
        zones(1),
        deployment("web", 1, cpu="1"),
        deployment("cache", 1, cpu="2"),
        parts={"web": 2, "cache": 1},
    )
    assert [room.copies for room in found.shapes] == [4, 2]
    assert found.mix is not None
    assert (found.mix.rounds, found.mix.stopped_by) == (1, "web")
    assert [room.copies for room in found.mix.rooms] == [2, 1]
    assert found.least == 1


def test_a_rule_of_the_pods_own_stops_it_as_well() -> None:
    far = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"app": "web"}},
                }
            ]
        }
    }
    (room,) = count(zones(3), deployment("web", 1, cpu="100m", affinity=far)).shapes
    assert room.copies == 3
    assert "anti-affinity" in room.message


def test_counting_ends_where_it_is_told_to() -> None:
    found = count(zones(1), deployment("web", 1, cpu="0"), most=5)
    assert found.shapes[0].copies == 5
    assert "counting was ended there" in capacity_text(found)


def test_an_empty_cluster_has_room_for_none() -> None:
    (room,) = count([], deployment("web", 1)).shapes
    assert (room.copies, room.message) == (0, "no nodes available to schedule pods")


@pytest.mark.parametrize(
    ("asked", "parts", "why"),
    [
        pytest.param([workload("DaemonSet", "agent")], None, "DaemonSet", id="a daemon set"),
        pytest.param([], None, "hold no pod", id="nothing"),
        pytest.param([deployment("web", 1)], {"wbe": 1}, 'called "wbe"', id="a mix of others"),
        pytest.param([deployment("a", 1), deployment("a", 2)], None, "two of", id="twice"),
    ],
)
def test_what_cannot_be_counted_is_said(
    asked: list[Document], parts: dict[str, int] | None, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        count(zones(1), *asked, parts=parts)
