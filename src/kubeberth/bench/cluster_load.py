"""The load generator of whole clusters: makes pods and sees when each has a node.

    python -m kubeberth.bench.cluster_load KUBECONFIG

It follows the pods that have no node, and of what a watch tells reads only names, so that it leaves
the processors to the cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from time import perf_counter
from typing import Any

import msgspec

from kubeberth.bench.load import Load, LoadError, Result, main, say
from kubeberth.bench.workloads import Workload, workload_named

RUN_LABEL = "kubeberth.io/bench"
# So long without another pod that gets a node, or begins to run, nobody waits for the rest.
STALL_S = 15.0
# What was measured is taken away before the next: so long at most.
GONE_S = 60.0
_TELL_S = 0.2
_NAME = "NAME-OF-THE-POD"


class _Meta(msgspec.Struct):
    name: str
    namespace: str


class _Object(msgspec.Struct):
    metadata: _Meta


class _Event(msgspec.Struct):
    type: str
    object: _Object


class _Status(msgspec.Struct):
    message: str


class _Refusal(msgspec.Struct):
    object: _Status


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_refusal = msgspec.json.Decoder(_Refusal).decode


class PlacementLoad(Load):
    """Does the jobs of a Load, and these."""

    async def read(self, path: str) -> Result:
        """Return an object."""
        (connection,) = await self._connections(1)
        answer = await connection.ask("GET", path)
        if answer.status != 200:
            raise answer.refusal()
        document: Result = msgspec.json.decode(b"".join(answer.body))
        return document

    async def place(
        self,
        workload: str,
        namespaces: list[str],
        run: str,
        prefix: str,
        n: int,
        connections: int,
        rate: float = 0.0,
    ) -> Result:
        """Create pods and wait until they have nodes, or no more of them get one.

        Parameters
        ----------
        run
            Marks the pods, as the value of `RUN_LABEL`.
        prefix
            Names them, with their numbers.
        rate
            How many come a second, whether or not those before them were answered; 0 for as fast
            as the connections allow.

        Returns
        -------
        dict
            `elapsed` from the first request to the last pod that got a node, `creating` to the last
            answer, `seconds` from when each pod was to be created until it had a node, sorted, and
            `answered` the same until its request was answered.
        """
        asked_at: dict[str, float] = {}
        answered: list[float] = []
        query = f"watch=true&fieldSelector=spec.nodeName%3D&labelSelector={RUN_LABEL}%3D{run}"
        workers = await self._connections(connections)
        bodies = _bodies(workload_named(workload), namespaces, run, prefix)
        todo = enumerate(islice(bodies, n))
        async with self.following(f"/api/v1/pods?{query}") as pending:
            began_at = perf_counter()

            async def work(connection: Any) -> None:
                for index, (key, body) in todo:
                    due_at = began_at + index / rate if rate else perf_counter()
                    if (wait_s := due_at - perf_counter()) > 0:
                        await asyncio.sleep(wait_s)
                    asked_at[key] = due_at
                    path = f"/api/v1/namespaces/{key.partition('/')[0]}/pods"
                    answer = await connection.ask("POST", path, body)
                    if answer.status != 201:
                        raise answer.refusal()
                    answered.append(perf_counter() - due_at)

            await asyncio.gather(*map(work, workers))
            creating = perf_counter() - began_at
            await pending.until_left(n)
        seconds = [at - asked_at[key] for key, at in pending.left_at.items()]
        elapsed = max(pending.left_at.values(), default=began_at) - began_at
        return {
            "elapsed": elapsed,
            "creating": creating,
            "seconds": sorted(seconds),
            "answered": sorted(answered),
        }

    async def until_gone(self, path: str) -> Result:
        """Wait until an object is gone; `is_gone` is false when that takes too long."""
        (connection,) = await self._connections(1)
        give_up_at = perf_counter() + GONE_S
        while perf_counter() < give_up_at:
            if (await connection.ask("GET", path)).status == 404:
                return {"is_gone": True}
            await asyncio.sleep(_TELL_S)
        return {"is_gone": False}

    async def until_running(self, run: str) -> Result:
        """Wait until every pod runs; `is_complete` is false when no more of them begin to."""
        query = f"labelSelector={RUN_LABEL}%3D{run}&fieldSelector=status.phase%21%3DRunning"
        listed = await self.read(f"/api/v1/pods?{query}")
        version = listed["metadata"]["resourceVersion"]
        path = f"/api/v1/pods?{query}&watch=true&resourceVersion={version}"
        async with self.following(path) as starting:
            return {"is_complete": await starting.until_left(len(listed["items"]))}

    @asynccontextmanager
    async def following(self, path: str) -> AsyncIterator[Leaving]:
        """Give the pods that leave what a watch selects, and tell how many now and then."""
        leaving = Leaving()
        async with self.watching(path, leaving.feed):
            telling = asyncio.create_task(_tell(leaving))
            try:
                yield leaving
            finally:
                telling.cancel()

    @asynccontextmanager
    async def watching(self, path: str, feed: Callable[[bytes], None]) -> AsyncIterator[None]:
        """Follow a watch for a while."""
        watch = await self._watch(path, feed)
        try:
            yield
        finally:
            watch.close()


class Progress:
    """What a watch brings, line by line, for those who wait for something to come about."""

    def __init__(self) -> None:
        self._rest = b""
        self._news = asyncio.Event()
        self._trouble: LoadError | None = None

    def feed(self, part: bytes) -> None:
        """Take in what the watch brings."""
        now = perf_counter()
        *lines, self._rest = (self._rest + part).split(b"\n")
        for line in lines:
            try:
                self.take(line, now)
            except msgspec.ValidationError:
                # Of another shape than the objects is only what ends a watch: an ERROR event.
                self._trouble = _trouble_in(line)
        self._news.set()

    def take(self, line: bytes, now: float) -> None:
        """Take in one event."""
        raise NotImplementedError

    async def wait_for(self, is_there: Callable[[], bool], stall_s: float) -> bool:
        """Return true when it is there, or false when nothing happens for so long.

        Raises
        ------
        LoadError
            The server has ended the watch, and says why.
        """
        while not is_there():
            if self._trouble is not None:
                raise self._trouble
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), stall_s)
            except TimeoutError:
                return False
        return True


def _trouble_in(line: bytes) -> LoadError:
    try:
        return LoadError(f"a watch was ended: {_decode_refusal(line).object.message}")
    except msgspec.ValidationError:
        return LoadError(f"a watch tells what nobody knows: {line[:200].decode(errors='replace')}")


class Leaving(Progress):
    """Pods that leave what a watch has selected, by `namespace/name`, and when they did.

    One that gets a node leaves the pods without one, one that starts those that do not run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left_at: dict[str, float] = {}

    def take(self, line: bytes, now: float) -> None:
        """Take in one event."""
        event = _decode_event(line)
        if event.type == "DELETED":
            meta = event.object.metadata
            self.left_at[f"{meta.namespace}/{meta.name}"] = now

    async def until_left(self, n: int) -> bool:
        """Return true when so many have left, or false when nothing happens any more."""
        return await self.wait_for(lambda: len(self.left_at) >= n, STALL_S)


def _bodies(
    workload: Workload, namespaces: Sequence[str], run: str, prefix: str
) -> Iterator[tuple[str, bytes]]:
    """Yield pods without end, as `namespace/name` and the body of the request."""
    parts = []
    for template in workload.templates():
        labels = {**template["labels"], RUN_LABEL: run}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": _NAME, "labels": labels},
            "spec": template["spec"],
        }
        parts.append(msgspec.json.encode(pod).split(_NAME.encode()))
    index = 0
    while True:
        before, after = parts[index % len(parts)]
        name = f"{prefix}-{index}"
        yield f"{namespaces[index % len(namespaces)]}/{name}", before + name.encode() + after
        index += 1


async def _tell(pending: Leaving) -> None:
    while True:
        await asyncio.sleep(_TELL_S)
        say({"done": len(pending.left_at)})


if __name__ == "__main__":
    main(PlacementLoad)
