"""StoredVolume: a persistent volume, and what is worked out about it once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubeberth.api.core import NodeSelectorTerm
from kubeberth.api.node_labels import BETA_REGION, BETA_ZONE, REGION, ZONE
from kubeberth.api.quantity import parse_quantity
from kubeberth.api.storage import PersistentVolume, PersistentVolumeClaim
from kubeberth.placement.migration import (
    ZONE_SEPARATOR,
    InTreeVolume,
    in_tree_volume,
    migrated_terms,
    zones_of,
)
from kubeberth.placement.nodeterm import NodeTerm, NodeTermError, compile_term

Reach = tuple[NodeTerm, ...] | None
"""Terms over node labels of which one must hold; None for every node."""

Home = tuple[str, str]
"""Key and value of a label of the nodes that reach a volume."""

TOPOLOGY_LABELS = (BETA_ZONE, BETA_REGION, ZONE, REGION)


@dataclass(frozen=True, slots=True)
class CsiVolume:
    """A volume as a CSI driver counts it.

    Parameters
    ----------
    plugin
        The in-tree plugin that it belongs to on nodes where that has not been migrated.
    """

    driver: str
    handle: str
    plugin: str = ""


@dataclass(frozen=True, slots=True)
class StoredVolume:
    """A volume, and what is worked out about it once.

    Parameters
    ----------
    size
        In units of 10^-9 bytes, exact.
    reach
        From which nodes it can be reached.
    home
        The one label that says so; None when it takes more to say.
    in_tree, migrated_reach
        What it is, and from where it can be reached, when a CSI driver has taken it over.
    topology
        Its zones and regions, by label.
    """

    volume: PersistentVolume
    size: int
    reach: Reach
    home: Home | None
    in_tree: InTreeVolume | None
    migrated_reach: Reach
    topology: tuple[tuple[str, frozenset[str]], ...]

    @property
    def csi(self) -> CsiVolume | None:
        """What its driver counts it as; None when none does."""
        source = self.volume.spec.csi
        if source is not None:
            return CsiVolume(source.driver, source.volume_handle)
        if self.in_tree is not None:
            return CsiVolume(self.in_tree.driver, self.in_tree.handle, self.in_tree.plugin)
        return None

    @property
    def is_free(self) -> bool:
        """Whether any claim may have it."""
        volume = self.volume
        return (
            volume.spec.claim_ref is None
            and volume.status.phase == "Available"
            and volume.metadata.deletion_timestamp is None
        )


def size_of(claim: PersistentVolumeClaim) -> int | None:
    """Return how large a volume is wanted, in units of 10^-9 bytes; None when nothing is said."""
    text = claim.spec.resources.requests.get("storage")
    return None if text is None else parse_quantity(text).nanos


def to_stored(volume: PersistentVolume) -> StoredVolume:
    """Return a volume with what is worked out about it once."""
    in_tree = in_tree_volume(volume.spec, zones_of(volume))
    affinity = volume.spec.node_affinity
    required = affinity.required if affinity is not None else None
    reach = _reach(None if required is None else required.node_selector_terms)
    return StoredVolume(
        volume,
        parse_quantity(volume.spec.capacity.get("storage", "0")).nanos,
        reach,
        _home(reach),
        in_tree,
        reach if in_tree is None else _reach(migrated_terms(volume, in_tree.plugin)),
        _topology(volume.metadata.labels),
    )


def _reach(terms: Iterable[NodeSelectorTerm] | None) -> Reach:
    """Compile required terms; a volume knows nodes by their labels only, not by name."""
    if terms is None:
        return None
    compiled = []
    for entry in terms:
        try:
            term = compile_term(entry)
        except NodeTermError:
            continue  # such a term matches nothing; the others still can
        if term is not None:
            compiled.append(NodeTerm(term.labels))
    return tuple(compiled)


def _home(reach: Reach) -> Home | None:
    if reach is None or len(reach) != 1 or len(reach[0].labels) != 1:
        return None
    requirement = reach[0].labels[0]
    if requirement.operator != "In" or len(requirement.values) != 1:
        return None
    (value,) = requirement.values
    return requirement.key, value


def _topology(labels: Mapping[str, str]) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return the zones and regions that a volume's labels list; a list with gaps is none."""
    found = []
    for key in TOPOLOGY_LABELS:
        if key in labels:
            values = [value.strip() for value in labels[key].split(ZONE_SEPARATOR)]
            if all(values):
                found.append((key, frozenset(values)))
    return tuple(found)
