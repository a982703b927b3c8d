"""Nominations: pods that wait for room on a node that has been made, or is being made, for them.

A nominated pod takes nothing yet. But whoever is not more important than it must fit the node with
it there, and fit it without it as well, for it may never come.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubeberth.placement.placed import PlacedPod


class Nominations:
    """Which pods are nominated to which nodes.

    Attributes
    ----------
    pods
        Every nominated pod by key.
    """

    def __init__(self) -> None:
        self.pods: dict[str, PlacedPod] = {}
        self._by_node: dict[str, dict[str, PlacedPod]] = {}

    @property
    def node_names(self) -> Iterable[str]:
        """Names of the nodes to which pods are nominated, whether these exist or not."""
        return self._by_node.keys()

    def on(self, node_name: str) -> Iterable[PlacedPod]:
        """Return the pods that are nominated to a node."""
        return self._by_node.get(node_name, {}).values()

    def put(self, nominated: PlacedPod) -> None:
        """Take in a pod that is not nominated, or replace one on the same node."""
        self.pods[nominated.key] = nominated
        self._by_node.setdefault(nominated.node_name, {})[nominated.key] = nominated

    def remove(self, key: str) -> PlacedPod | None:
        """Drop the nomination of a pod, and return what it was."""
        nominated = self.pods.pop(key, None)
        if nominated is not None:
            on_node = self._by_node[nominated.node_name]
            del on_node[key]
            if not on_node:
                del self._by_node[nominated.node_name]
        return nominated

    def copy(self) -> Nominations:
        """Return a book that changes on its own from now on."""
        other = Nominations()
        other.pods = self.pods.copy()
        other._by_node = {name: pods.copy() for name, pods in self._by_node.items()}
        return other
