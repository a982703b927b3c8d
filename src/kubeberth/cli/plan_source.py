"""What offline questions are asked about: a cluster as it would be with some manifests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubeberth.cli.cluster_source import LIVE, read_sources
from kubeberth.client.credentials import Credentials
from kubeberth.library.manifests import Source
from kubeberth.library.profiles import configured_profiles
from kubeberth.placement.ties import FirstAdded
from kubeberth.planner.manifests import Reading, read
from kubeberth.planner.planning import Task, carry_out, default_rules
from kubeberth.planner.world import Rules, World


@dataclass(frozen=True, slots=True)
class Asked:
    """Which cluster is meant, and by whose rules.

    Parameters
    ----------
    clusters
        `live`, or files; by default the live one.
    reach
        Says how to reach the live one.
    """

    clusters: Sequence[str]
    config: Path | None
    reach: Callable[[], Credentials]


def planned_world(asked: Asked, wanted: Reading) -> World:
    """Return a cluster in which everything has found its place, that of manifests, too."""
    sources = asked.clusters or (LIVE,)
    reach = asked.reach() if LIVE in sources else None
    task = Task(read_sources(sources, reach), wanted, rules=rules_of(asked.config))
    return carry_out(task)[0]


def read_manifests_of(files: Sequence[str], namespace: str) -> Reading:
    """Return what manifests hold; `-` is standard input."""
    return read([_source(file) for file in files], namespace)


def rules_of(config: Path | None) -> Rules:
    """Return the rules of a KubeSchedulerConfiguration; kube-scheduler's own without one."""
    if config is None:
        return default_rules()
    return Rules({profile.name: profile for profile in configured_profiles(config)}, FirstAdded())


def _source(file: str) -> Source:
    return sys.stdin.buffer if file == "-" else file
