"""ImageLocality: a node that holds the pod's images starts it sooner.

Rule: https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
Matches kube-scheduler 1.36 (plugins/imagelocality). An image counts by the share of the nodes that
hold it, so that pods do not all go to the one node that pulled it first. The share is today's;
upstream's is that of the last time the node changed.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

import numpy as np

from kubeberth.placement.images import Image
from kubeberth.placement.plugin import MAX_SCORE, Normalization, Reads, Scores
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState, Nodes

_MIB = 1024 * 1024
_MIN_BYTES = 23 * _MIB
_MAX_BYTES_PER_CONTAINER = 1000 * _MIB


class ImageLocality:
    """Soft rule over the images that nodes hold."""

    name: ClassVar[str] = "ImageLocality"
    reads: ClassVar[Reads] = Reads.NODE
    normalization: ClassVar[Normalization] = Normalization.NONE

    def criteria(self, state: ClusterState, request: PodRequest) -> Hashable:
        """Return the images, and the number of containers that they are for."""
        return request.images, _n_containers(request)

    def scores(self, state: ClusterState, request: PodRequest) -> bool:
        """Return True: every pod has images."""
        return True

    def score(self, state: ClusterState, request: PodRequest, nodes: Nodes) -> Scores:
        """Return where the bytes that need not be pulled lie between little and plenty."""
        images = _known(state, request)
        if not images:
            return np.zeros(len(state.slots[nodes]), dtype=np.int64)
        plenty = _MAX_BYTES_PER_CONTAINER * _n_containers(request)
        found = np.zeros(state.n_slots, dtype=np.int64)
        for image in images:
            share = image.n_nodes / state.n_nodes
            found[image.slots] += min(int(image.size * share), plenty)
        span = max(plenty - _MIN_BYTES, 1)
        scores: Scores = (
            MAX_SCORE * (np.clip(found[nodes], _MIN_BYTES, plenty) - _MIN_BYTES) // span
        )
        return scores

    def basis(self, state: ClusterState, request: PodRequest) -> object:
        """Return how the pod's images are spread."""
        images = _known(state, request)
        return images and (state.n_nodes, [(image.size, image.n_nodes) for image in images])


def _n_containers(request: PodRequest) -> int:
    return len(request.spec.init_containers) + len(request.spec.containers)


def _known(state: ClusterState, request: PodRequest) -> list[Image]:
    """Return those of the pod's images that some node holds."""
    found = (state.nodes.images.get(name) for name in request.images)
    return [image for image in found if image is not None]
