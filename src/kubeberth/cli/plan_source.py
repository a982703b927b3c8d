"""What offline questions are asked about: a cluster as it would be with some manifests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kubeberth.cli.bad_input import told_of
from kubeberth.cli.cluster_source import LIVE, Document, Reach, read_sources, warn
from kubeberth.cli.options import standard_input
from kubeberth.library.manifests import Source
from kubeberth.placement.config.decoding import ConfigurationError
from kubeberth.placement.ties import TieBreak
from kubeberth.planner.manifests import Reading, read
from kubeberth.planner.planning import Task, carry_out, default_rules
from kubeberth.planner.words import left_out
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
    reach: Reach


def planned_world(asked: Asked, wanted: Reading) -> World:
    """Return a cluster in which everything has found its place, that of manifests, too."""
    if wanted.left_out:
        warn(left_out(wanted.left_out))
    cluster = read_asked(asked.clusters, asked.reach)
    return carry_out(Task(cluster, wanted, rules=rules_of(asked.config)))[0]


def read_asked(
    clusters: Sequence[str], reach: Reach, tell: Callable[[str], None] = warn
) -> list[Document]:
    """Return the objects of the clusters that are meant; how to reach a live one is asked last.

    Parameters
    ----------
    tell
        Told what may not be read, in one line.
    """
    sources = clusters or (LIVE,)
    return read_sources(sources, reach() if LIVE in sources else None, tell=tell)


def read_manifests_of(files: Sequence[str], namespace: str) -> Reading:
    """Return what manifests hold; `-` is standard input."""
    return read([_source(file) for file in files], namespace)


def rules_of(config: Path | None, ties: TieBreak | None = None) -> Rules:
    """Return the rules of a KubeSchedulerConfiguration; kube-scheduler's own without one.

    Parameters
    ----------
    ties
        By default the first of equally good nodes is taken.
    """
    rules = default_rules()
    if config is not None:
        # Late: most ask by the default rules, and who else has plugins takes a while to find.
        from kubeberth.library.profiles import configured_profiles

        try:
            rules = replace(rules, profiles={p.name: p for p in configured_profiles(config)})
        except ConfigurationError as error:
            raise told_of(config, error) from None
    return rules if ties is None else replace(rules, ties=ties)


def _source(file: str) -> Source:
    return standard_input() if file == "-" else file
