"""Sample: how many nodes a search for victims tries before it is content with what it has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """DefaultPreemptionArgs: the larger of two numbers of candidates.

    As everywhere in the engine all nodes are tried unless something else is asked for;
    kube-scheduler's own numbers are in `KUBE_SCHEDULER`.
    """

    min_candidate_nodes_percentage: int = 100
    min_candidate_nodes_absolute: int = 100

    def size(self, n_nodes: int) -> int:
        """Return how many candidates out of so many nodes are enough."""
        share = n_nodes * self.min_candidate_nodes_percentage // 100
        return min(max(share, self.min_candidate_nodes_absolute), n_nodes)


EVERY_NODE = Sample()
KUBE_SCHEDULER = Sample(min_candidate_nodes_percentage=10)
