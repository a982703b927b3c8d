"""A plugin of one's own: racks in maintenance take no new pods, and quiet racks are preferred.

Nodes say so by two labels, `example.com/maintenance: "true"` and `example.com/noise`, 0 to 100.
"""

from __future__ import annotations

from kubeberth.placement.per_node import NodeView, PerNodeFilter, PerNodeScore, PodView
from kubeberth.placement.plugin import Reads

MAINTENANCE = "example.com/maintenance"
NOISE = "example.com/noise"


class QuietRacks(PerNodeFilter, PerNodeScore):
    """Keep pods off racks in maintenance, and guide them to quiet ones.

    Parameters
    ----------
    exempt
        Namespaces whose pods may go anywhere.
    """

    name = "QuietRacks"
    reads = Reads.NODE

    def __init__(self, exempt: list[str] | None = None) -> None:
        self._exempt = frozenset(exempt or ())

    def refuse(self, pod: PodView, node: NodeView) -> str | None:
        """Turn away nodes in maintenance."""
        if node.labels.get(MAINTENANCE) == "true" and pod.namespace not in self._exempt:
            return "node(s) were in maintenance"
        return None

    def rate(self, pod: PodView, node: NodeView) -> int:
        """Return 100 where it is quiet, 0 where it is loudest."""
        noise = node.labels.get(NOISE, "0")
        return 100 - min(int(noise), 100) if noise.isdecimal() else 0
