"""The load generator of nodes: gives each of them pods, and sees when they run.

python -m kubeberth.bench.node_load KUBECONFIG
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Any

import msgspec

from kubeberth.bench.cluster_load import RUN_LABEL, PlacementLoad
from kubeberth.bench.load import Result, main
from kubeberth.bench.workloads import node_manifest

_CONTAINER = {
    "name": "pause",
    "image": "registry.k8s.io/pause:3.10.1",
    "resources": {"requests": {"cpu": "10m", "memory": "20Mi"}},
}


class NodeLoad(PlacementLoad):
    """Does the jobs of a PlacementLoad, and this."""

    async def start_pods(
        self, namespace: str, run: str, n_nodes: int, per_node: int, connections: int
    ) -> Result:
        """Create pods that name their nodes, one for each node in turn; wait until all run.

        Returns
        -------
        dict
            `creating` from the first request to the last answer, `running` to when the last pod
            ran; None when no more begin to.
        """
        query = f"watch=true&labelSelector={RUN_LABEL}%3D{run}"
        starting = f"/api/v1/namespaces/{namespace}/pods?{query}"
        async with self.following(f"{starting}&fieldSelector=status.phase%21%3DRunning") as waiting:
            todo = deque((node, turn) for turn in range(per_node) for node in range(n_nodes))
            workers = await self._connections(connections)
            path = f"/api/v1/namespaces/{namespace}/pods"
            began_at = perf_counter()

            async def work(connection: Any) -> None:
                while todo:
                    answer = await connection.ask("POST", path, _pod(run, *todo.popleft()))
                    if answer.status != 201:
                        raise answer.refusal()

            await asyncio.gather(*map(work, workers))
            creating = perf_counter() - began_at
            runs = await waiting.until_left(n_nodes * per_node)
        last_at = max(waiting.left_at.values(), default=began_at)
        return {"creating": creating, "running": last_at - began_at if runs else None}


def _pod(run: str, node: int, turn: int) -> bytes:
    name = node_manifest(node)["metadata"]["name"]
    return msgspec.json.encode(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"pod-{node}-{turn}", "labels": {RUN_LABEL: run}},
            "spec": {"nodeName": name, "containers": [_CONTAINER]},
        }
    )


if __name__ == "__main__":
    main(NodeLoad)
