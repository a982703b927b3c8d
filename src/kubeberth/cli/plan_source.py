"""What offline questions are asked about: a cluster as it would be with some manifests."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kubeberth.cli.cluster_source import LIVE, credentials_of, read_sources
from kubeberth.library.manifests import Source
from kubeberth.library.profiles import configured_profiles
from kubeberth.placement.ties import FirstAdded
from kubeberth.planner.manifests import read
from kubeberth.planner.planning import Task, carry_out, default_rules
from kubeberth.planner.world import Rules, World


def planned_world(
    files: Sequence[str],
    clusters: Sequence[str],
    namespace: str,
    config: Path | None,
    paths: tuple[Path, Path],
    is_told: bool,
) -> World:
    """Return a cluster in which everything has found its place.

    Parameters
    ----------
    files
        Manifests; `-` is standard input.
    clusters
        `live`, or files; by default the live one.
    paths
        The data directory and the kubeconfig of the live cluster.
    is_told
        Whether somebody has named the kubeconfig.
    """
    data_dir, kubeconfig = paths
    sources = clusters or (LIVE,)
    is_live = LIVE in sources
    reach = credentials_of(data_dir, kubeconfig, is_told=is_told) if is_live else None
    wanted = read([_source(file) for file in files], namespace)
    task = Task(read_sources(sources, reach), wanted, rules=rules_of(config))
    return carry_out(task)[0]


def rules_of(config: Path | None) -> Rules:
    """Return the rules of a KubeSchedulerConfiguration; kube-scheduler's own without one."""
    if config is None:
        return default_rules()
    return Rules({profile.name: profile for profile in configured_profiles(config)}, FirstAdded())


def _source(file: str) -> Source:
    return sys.stdin.buffer if file == "-" else file
