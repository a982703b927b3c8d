"""Foresees what a node's resource managers will say to a pod, with the code by which they say it.

layout, publication (annotations of the Node) + pods on the node -> Managers.admit -> Refusal
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from kubeberth.topology.checkpoint import CheckpointError
from kubeberth.topology.configuration import POD_LEVEL_GATE
from kubeberth.topology.description import DescriptionError
from kubeberth.topology.layout import parse_layout
from kubeberth.topology.managers import Allocations, Managers
from kubeberth.topology.publication import Publication, from_text
from kubeberth.topology.refusal import Refusal
from kubeberth.topology.requests import PodRequest

# Texts of so many nodes are kept read.
_NODES = 8192


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of a node.

    Parameters
    ----------
    pools
        Whether its kubelet has PodLevelResourceManagers on.
    publication
        What it last published.
    """

    managers: Managers
    pools: bool
    publication: Publication

    def refusal(self, present: Iterable[tuple[str, PodRequest]], pod: PodRequest) -> Refusal | None:
        """Return how the node would refuse a pod; None when it would not.

        Parameters
        ----------
        present
            The pods that are on the node or on their way to it, with `namespace/name`, in the
            order in which they came.
        """
        allocations = self._with(present)
        return self.managers.admit(allocations, pod).refusal

    def _with(self, present: Iterable[tuple[str, PodRequest]]) -> Allocations:
        """Return the allocations once the node has heard of what there is now."""
        requests = dict(present)
        published = self.publication.pods
        allocations = self.publication.allocations
        for uid, key in published.items():
            if key not in requests:
                allocations = allocations.without(uid)
        known = frozenset(published.values())
        for key, request in requests.items():
            if key not in known:
                admission = self.managers.admit(allocations, request)
                allocations = admission.allocations
                if admission.refusal is not None:
                    allocations = allocations.without(request.uid)
        return allocations


@lru_cache(maxsize=_NODES)
def outlook(layout: str, publication: str | None) -> Outlook | None:
    """Return what is known of a node by its annotations; None when they cannot be read."""
    try:
        known = parse_layout(layout)
        managers, empty = known.start()
        published = Publication(empty, {}) if publication is None else from_text(publication)
    except (DescriptionError, CheckpointError):
        return None
    return Outlook(managers, known.configuration.has(POD_LEVEL_GATE), published)
