"""Which nodes of a cluster could fail, one at a time, without leaving a pod without a place.

    python examples/what_if/spare.py FILE...

The files are manifests, or what `kubectl get nodes,pods -A -o yaml` printed of a real cluster.
"""

from __future__ import annotations

import sys

from kubeberth import Cluster


def homeless(cluster: Cluster, node: str) -> list[str]:
    """Return the pods that would find no other place if a node failed."""
    with cluster.fork() as trial:
        evicted = trial.drain(node)
        return [d.pod_key for d in trial.place_all(evicted) if d.node is None]


def main(files: list[str]) -> None:
    """Print a line per node."""
    cluster = Cluster.from_manifests(*files)
    for node in cluster.nodes:
        lost = homeless(cluster, node.name)
        print(f"{node.name}: {'cannot spare ' + ', '.join(lost) if lost else 'can be spared'}")


if __name__ == "__main__":
    main(sys.argv[1:])
