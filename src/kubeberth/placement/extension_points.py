"""Which plugins kube-scheduler has, where each takes part, and which of them a profile chooses.

Matches kube-scheduler 1.36 (apis/config/v1/default_plugins.go, framework/runtime/framework.go).
Knows names only: a name that kube-scheduler knows is right in a configuration whether there is a
rule of that name here or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import msgspec

from kubeberth.api.scheduler_config import PluginRef, Plugins, PluginSet
from kubeberth.api.validation.field_error import FieldError, duplicate, invalid

Point = Literal[
    "preEnqueue",
    "queueSort",
    "preFilter",
    "filter",
    "postFilter",
    "preScore",
    "score",
    "reserve",
    "permit",
    "preBind",
    "bind",
    "postBind",
    "placementGenerate",
    "placementScore",
]
POINTS: tuple[Point, ...] = get_args(Point)

Chosen = Mapping[Point, tuple[PluginRef, ...]]
"""The plugins of each extension point, in the order in which they are asked."""


@dataclass(frozen=True, slots=True)
class Known:
    """A plugin by name.

    Parameters
    ----------
    weight
        In the default profile, where it scores.
    """

    name: str
    points: tuple[Point, ...]
    weight: int = 0


# In the order of the default profile, which is the order in which they are asked.
IN_TREE: tuple[Known, ...] = (
    Known("SchedulingGates", ("preEnqueue",)),
    Known("PrioritySort", ("queueSort",)),
    Known("NodeUnschedulable", ("filter",)),
    Known("NodeName", ("filter",)),
    Known("TaintToleration", ("filter", "preScore", "score"), 3),
    Known("NodeAffinity", ("preFilter", "filter", "preScore", "score"), 2),
    Known("NodePorts", ("preFilter", "filter")),
    Known("NodeResourcesFit", ("preFilter", "filter", "preScore", "score"), 1),
    Known("VolumeRestrictions", ("preFilter", "filter")),
    Known("NodeVolumeLimits", ("preFilter", "filter")),
    Known("VolumeBinding", ("preFilter", "filter", "preScore", "score", "reserve", "preBind")),
    Known("VolumeZone", ("preFilter", "filter")),
    Known("PodTopologySpread", ("preFilter", "filter", "preScore", "score"), 2),
    Known("InterPodAffinity", ("preFilter", "filter", "preScore", "score"), 2),
    Known(
        "DynamicResources",
        ("preEnqueue", "preFilter", "filter", "postFilter", "score", "reserve", "preBind"),
        2,
    ),
    Known("DefaultPreemption", ("preEnqueue", "postFilter")),
    Known("NodeResourcesBalancedAllocation", ("preScore", "score"), 1),
    Known("ImageLocality", ("score",), 1),
    Known("DefaultBinder", ("bind",)),
    Known("NodeDeclaredFeatures", ("preFilter", "filter")),
)

_ALL = "*"
_FIELDS = {field.encode_name: field.name for field in msgspec.structs.fields(Plugins)}


def choose(
    plugins: Plugins, known: Sequence[Known] = IN_TREE, path: str = "plugins"
) -> tuple[Chosen, list[FieldError]]:
    """Return which plugins take part at each extension point, and what is wrong with the choice.

    Parameters
    ----------
    known
        Every plugin there is; those of kube-scheduler are the default profile.
    """
    points_of = {plugin.name: plugin.points for plugin in known}
    multi_point, errors = _merge(plugins.multi_point, f"{path}.multiPoint", points_of)
    chosen: dict[Point, tuple[PluginRef, ...]] = {}
    for point in POINTS:
        choice: PluginSet = getattr(plugins, _FIELDS[point])
        errors += _faults(choice, point, f"{path}.{point}", points_of)
        chosen[point] = tuple(_expand(choice, point, multi_point, points_of))
    return chosen, errors


def _merge(
    custom: PluginSet, path: str, points_of: Mapping[str, tuple[Point, ...]]
) -> tuple[list[PluginRef], list[FieldError]]:
    """Change the default set: what is enabled once more keeps its place, with the new weight."""
    disabled = {ref.name for ref in custom.disabled}
    enabled = {ref.name: ref for ref in custom.enabled}
    merged = [
        enabled.pop(plugin.name, PluginRef(name=plugin.name, weight=plugin.weight))
        for plugin in IN_TREE
        if _ALL not in disabled and plugin.name not in disabled
    ]
    merged += enabled.values()
    return merged, _unknown_or_repeated(custom, path, points_of)


def _expand(
    choice: PluginSet,
    point: Point,
    multi_point: Sequence[PluginRef],
    points_of: Mapping[str, tuple[Point, ...]],
) -> Iterator[PluginRef]:
    """Yield one point's plugins.

    First those that are named here and at `multiPoint` too, then the others of `multiPoint`, then
    those that are named here alone.
    """
    explicit = {ref.name: ref for ref in choice.enabled}
    disabled = {ref.name for ref in choice.disabled}
    shared = [
        ref
        for ref in multi_point
        if _ALL not in disabled
        and ref.name not in disabled
        and point in points_of.get(ref.name, ())
    ]
    overridden = {ref.name for ref in shared} & explicit.keys()
    yield from (ref for name, ref in explicit.items() if name in overridden)
    yield from (ref for ref in shared if ref.name not in overridden)
    yield from (ref for name, ref in explicit.items() if name not in overridden)


def _faults(
    choice: PluginSet, point: Point, path: str, points_of: Mapping[str, tuple[Point, ...]]
) -> list[FieldError]:
    errors = _unknown_or_repeated(choice, path, points_of)
    for index, ref in enumerate(choice.enabled):
        points = points_of.get(ref.name)
        if points is not None and point not in points:
            detail = f"takes no part in {point}; it can be enabled for {', '.join(points)}"
            errors.append(invalid(f"{path}.enabled[{index}].name", ref.name, detail))
    return errors


def _unknown_or_repeated(
    choice: PluginSet, path: str, points_of: Mapping[str, tuple[Point, ...]]
) -> list[FieldError]:
    errors = []
    names = [ref.name for ref in choice.enabled]
    for index, name in enumerate(names):
        here = f"{path}.enabled[{index}].name"
        if name not in points_of:
            detail = "no plugin has this name; one of your own has to be installed first"
            errors.append(invalid(here, name, detail))
        elif name in names[:index]:
            errors.append(duplicate(here, name))
    return errors
