"""Profiles choose plugins as kube-scheduler's configuration says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubeberth.api.scheduler_config import Plugins
from kubeberth.placement.extension_points import IN_TREE, Point, choose
from kubeberth.placement.plugins import in_tree_plugins


def chosen(point: Point, **plugins: Any) -> list[str]:
    found, errors = choose(msgspec.convert(plugins, Plugins))
    assert errors == []
    return [ref.name for ref in found[point]]


def weights(**plugins: Any) -> dict[str, int]:
    found, errors = choose(msgspec.convert(plugins, Plugins))
    assert errors == []
    return {ref.name: ref.weight for ref in found["score"]}


def faults(**plugins: Any) -> list[str]:
    return [str(error) for error in choose(msgspec.convert(plugins, Plugins))[1]]


def names(*listed: str) -> list[dict[str, str]]:
    return [{"name": name} for name in listed]


DEFAULT_FILTERS = [
    "NodeUnschedulable",
    "NodeName",
    "TaintToleration",
    "NodeAffinity",
    "NodePorts",
    "NodeResourcesFit",
    "VolumeRestrictions",
    "NodeVolumeLimits",
    "VolumeBinding",
    "VolumeZone",
    "PodTopologySpread",
    "InterPodAffinity",
    "DynamicResources",
    "NodeDeclaredFeatures",
]


def test_default_profile_has_the_filters_of_kube_scheduler_in_its_order() -> None:
    assert chosen("filter") == DEFAULT_FILTERS


def test_default_weights_are_those_of_kube_scheduler() -> None:
    assert weights() == {
        "TaintToleration": 3,
        "NodeAffinity": 2,
        "NodeResourcesFit": 1,
        "VolumeBinding": 0,
        "PodTopologySpread": 2,
        "InterPodAffinity": 2,
        "DynamicResources": 2,
        "NodeResourcesBalancedAllocation": 1,
        "ImageLocality": 1,
    }


def test_every_rule_here_has_a_name_that_kube_scheduler_knows() -> None:
    rules = [plugin.name for plugin in in_tree_plugins()]
    assert set(rules) <= {known.name for known in IN_TREE}
    assert len(rules) == len(set(rules))


def test_disabled_everywhere_takes_part_nowhere() -> None:
    plugins = {"multiPoint": {"disabled": names("NodeAffinity")}}
    assert "NodeAffinity" not in chosen("filter", **plugins)
    assert "NodeAffinity" not in weights(**plugins)


def test_disabled_at_one_point_still_takes_part_at_the_others() -> None:
    plugins = {"filter": {"disabled": names("TaintToleration")}}
    assert "TaintToleration" not in chosen("filter", **plugins)
    assert "TaintToleration" in weights(**plugins)


def test_star_at_one_point_leaves_only_what_is_enabled_there() -> None:
    plugins = {"filter": {"disabled": names("*"), "enabled": names("NodePorts", "NodeName")}}
    assert chosen("filter", **plugins) == ["NodePorts", "NodeName"]


def test_star_at_multi_point_leaves_only_what_is_enabled() -> None:
    plugins = {"multiPoint": {"disabled": names("*"), "enabled": names("NodeName")}}
    assert chosen("filter", **plugins) == ["NodeName"]
    assert chosen("bind", **plugins) == []


def test_default_plugin_enabled_again_keeps_its_place_and_takes_the_weight() -> None:
    plugins = {"multiPoint": {"enabled": [{"name": "TaintToleration", "weight": 9}]}}
    assert chosen("filter", **plugins) == DEFAULT_FILTERS
    assert weights(**plugins)["TaintToleration"] == 9


def test_default_plugin_disabled_and_enabled_goes_to_the_end() -> None:
    plugins = {
        "multiPoint": {"disabled": names("NodeName"), "enabled": names("NodeName")},
    }
    assert chosen("filter", **plugins)[-1] == "NodeName"


def test_default_filter_enabled_explicitly_moves_to_the_front() -> None:
    found = chosen("filter", filter={"enabled": names("InterPodAffinity")})
    assert found == ["InterPodAffinity", *(n for n in DEFAULT_FILTERS if n != "InterPodAffinity")]


def test_explicit_entry_of_a_plugin_outside_multi_point_goes_to_the_end() -> None:
    plugins = {
        "multiPoint": {"disabled": names("NodeName")},
        "filter": {"enabled": names("NodeName", "NodePorts")},
    }
    found = chosen("filter", **plugins)
    assert (found[0], found[-1]) == ("NodePorts", "NodeName")


def test_weight_given_at_score_wins_over_multi_point() -> None:
    plugins = {
        "multiPoint": {"enabled": [{"name": "NodeAffinity", "weight": 5}]},
        "score": {"enabled": [{"name": "NodeAffinity", "weight": 7}]},
    }
    assert weights(**plugins)["NodeAffinity"] == 7


@pytest.mark.parametrize(
    ("plugins", "fault"),
    [
        pytest.param(
            {"filter": {"enabled": names("Nope")}},
            'plugins.filter.enabled[0].name: Invalid value: "Nope": no plugin has this name; one '
            "of your own has to be installed first",
            id="unknown name",
        ),
        pytest.param(
            {"score": {"enabled": names("NodeName")}},
            'plugins.score.enabled[0].name: Invalid value: "NodeName": takes no part in score; it '
            "can be enabled for filter",
            id="a point that the plugin does not have",
        ),
        pytest.param(
            {"multiPoint": {"enabled": names("NodeName", "NodeName")}},
            'plugins.multiPoint.enabled[1].name: Duplicate value: "NodeName"',
            id="twice at one point",
        ),
    ],
)
def test_a_choice_that_cannot_be_is_refused_with_its_place(
    plugins: dict[str, Any], fault: str
) -> None:
    assert faults(**plugins) == [fault]


def test_disabling_an_unknown_name_is_accepted_as_upstream_does() -> None:
    assert faults(filter={"disabled": names("Nope")}) == []
