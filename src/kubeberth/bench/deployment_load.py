"""The load generator of Deployments: makes and scales them, and sees when that has come about.

python -m kubeberth.bench.deployment_load KUBECONFIG
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Any

import msgspec

from kubeberth.bench.cluster_load import RUN_LABEL, STALL_S, PlacementLoad, Progress
from kubeberth.bench.load import Result, main

_POD_SPEC = {
    "containers": [
        {
            "name": "pause",
            "image": "registry.k8s.io/pause:3.10.1",
            "resources": {"requests": {"cpu": "10m", "memory": "20Mi"}},
        }
    ]
}


class _Meta(msgspec.Struct):
    name: str


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    available_replicas: int = 0


class _Deployment(msgspec.Struct):
    metadata: _Meta
    status: _Status = _Status()


class _Event(msgspec.Struct):
    object: _Deployment


_decode_event = msgspec.json.Decoder(_Event).decode


class DeploymentLoad(PlacementLoad):
    """Does the jobs of a PlacementLoad, and these."""

    async def deploy(
        self, namespace: str, run: str, prefix: str, n: int, replicas: int, connections: int
    ) -> Result:
        """Create Deployments and wait until all their pods run, and they say themselves so.

        Parameters
        ----------
        run
            Marks Deployments and pods, as the value of `RUN_LABEL`.
        prefix
            Names them, with their numbers.

        Returns
        -------
        dict
            `creating` from the first request to the last answer, `running` to when the last pod
            ran, `available` to when the last Deployment said that it has all its replicas; None
            where no more happens.
        """
        run_label = f"labelSelector={RUN_LABEL}%3D{run}"
        available = _Available(replicas)
        watched = f"/apis/apps/v1/namespaces/{namespace}/deployments?watch=true&{run_label}"
        starting = f"/api/v1/namespaces/{namespace}/pods?watch=true&{run_label}"
        async with (
            self.following(f"{starting}&fieldSelector=status.phase%21%3DRunning") as running,
            self.watching(watched, available.feed),
        ):
            todo = deque(_deployment(f"{prefix}-{i}", run, replicas) for i in range(n))
            workers = await self._connections(connections)
            path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
            began_at = perf_counter()

            async def work(connection: Any) -> None:
                while todo:
                    answer = await connection.ask("POST", path, todo.popleft())
                    if answer.status != 201:
                        raise answer.refusal()

            await asyncio.gather(*map(work, workers))
            creating = perf_counter() - began_at
            runs = await running.until_left(n * replicas)
            says_so = await available.until(n)
        last_at = max(running.left_at.values(), default=began_at)
        return {
            "creating": creating,
            "running": last_at - began_at if runs else None,
            "available": available.last_at - began_at if says_so else None,
        }

    async def remove_pods(self, namespace: str, run: str, name: str, n_pods: int) -> Result:
        """Scale a Deployment to zero; `gone` is how long it takes until no pod of it is left."""
        query = f"watch=true&labelSelector={RUN_LABEL}%3D{run}"
        async with self.following(f"/api/v1/namespaces/{namespace}/pods?{query}") as leaving:
            (connection,) = await self._connections(1)
            began_at = perf_counter()
            path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"
            body = msgspec.json.encode({"spec": {"replicas": 0}})
            answer = await connection.ask("PATCH", path, body, "application/merge-patch+json")
            if answer.status != 200:
                raise answer.refusal()
            is_complete = await leaving.until_left(n_pods)
        last_at = max(leaving.left_at.values(), default=began_at)
        return {"gone": last_at - began_at if is_complete else None}


class _Available(Progress):
    """Deployments that have said that all their replicas are available, and when the last did."""

    def __init__(self, replicas: int) -> None:
        super().__init__()
        self._replicas = replicas
        self._names: set[str] = set()
        self.last_at = 0.0

    def take(self, line: bytes, now: float) -> None:
        """Take in one event."""
        deployment = _decode_event(line).object
        name = deployment.metadata.name
        if deployment.status.available_replicas == self._replicas and name not in self._names:
            self._names.add(name)
            self.last_at = now

    async def until(self, n: int) -> bool:
        """Return true when so many have, or false when nothing happens any more."""
        return await self.wait_for(lambda: len(self._names) >= n, STALL_S)


def _deployment(name: str, run: str, replicas: int) -> bytes:
    labels = {"app": name, RUN_LABEL: run}
    return msgspec.json.encode(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": labels}, "spec": _POD_SPEC},
            },
        }
    )


if __name__ == "__main__":
    main(DeploymentLoad)
