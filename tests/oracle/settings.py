"""What a configuration says, read the plain way from a profile's JSON that is known to be valid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from kubeberth.api.core import NodeAffinity, TopologySpreadConstraint

WEIGHTS = {"TaintToleration": 3, "NodeAffinity": 2, "PodTopologySpread": 2, "InterPodAffinity": 2}


@dataclass
class Settings:
    """The default profile, as long as nothing is changed.

    `defaults` are spread constraints, None for those of the system; `shape` holds pairs of
    utilization and score.
    """

    weights: dict[str, int] = field(default_factory=lambda: dict(WEIGHTS))
    not_filtering: set[str] = field(default_factory=set)
    not_scoring: set[str] = field(default_factory=set)
    strategy: str = "LeastAllocated"
    resources: dict[str, int] = field(default_factory=lambda: {"cpu": 1, "memory": 1})
    shape: list[tuple[int, int]] = field(default_factory=list)
    balanced: list[str] = field(default_factory=lambda: ["cpu", "memory"])
    ignored: set[str] = field(default_factory=set)
    ignored_groups: set[str] = field(default_factory=set)
    added: NodeAffinity = field(default_factory=NodeAffinity)
    hard_pod_affinity_weight: int = 1
    ignores_preferences: bool = False
    defaults: list[TopologySpreadConstraint] | None = None


def read_settings(profile: dict[str, Any]) -> Settings:
    settings = Settings()
    plugins = profile.get("plugins", {})
    for entry in plugins.get("multiPoint", {}).get("enabled", []):
        settings.weights[entry["name"]] = entry["weight"]
    settings.not_filtering = {e["name"] for e in plugins.get("filter", {}).get("disabled", [])}
    settings.not_scoring = {e["name"] for e in plugins.get("score", {}).get("disabled", [])}
    args = {entry["name"]: entry["args"] for entry in profile.get("pluginConfig", [])}
    fit = args.get("NodeResourcesFit", {})
    settings.ignored |= set(fit.get("ignoredResources", []))
    settings.ignored_groups |= set(fit.get("ignoredResourceGroups", []))
    strategy = fit.get("scoringStrategy", {})
    settings.strategy = strategy.get("type", settings.strategy)
    if strategy.get("resources"):
        settings.resources = {entry["name"]: entry["weight"] for entry in strategy["resources"]}
    for point in strategy.get("requestedToCapacityRatio", {}).get("shape", []):
        settings.shape.append((point["utilization"], point["score"]))
    balanced = args.get("NodeResourcesBalancedAllocation", {}).get("resources")
    if balanced:
        settings.balanced = [entry["name"] for entry in balanced]
    added = args.get("NodeAffinity", {}).get("addedAffinity", {})
    settings.added = msgspec.convert(added, NodeAffinity)
    near = args.get("InterPodAffinity", {})
    settings.hard_pod_affinity_weight = near.get("hardPodAffinityWeight", 1)
    settings.ignores_preferences = near.get("ignorePreferredTermsOfExistingPods", False)
    spread = args.get("PodTopologySpread", {})
    if spread.get("defaultingType") == "List":
        constraints = spread.get("defaultConstraints", [])
        settings.defaults = msgspec.convert(constraints, list[TopologySpreadConstraint])
    return settings
