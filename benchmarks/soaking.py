"""What soaks have in common: a cluster to kill processes of, and the history that the API tells."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from kubeberth.api.scheme import Resource
from kubeberth.client.client import Client
from kubeberth.errors import ApiError, ExpiredError, TransportError

Document = dict[str, Any]
Check = Callable[[Document | None, Document | None], None]


class Cluster:
    """A `berth up` of our own."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.data = folder / "cluster"
        self._environment = {**os.environ, "HOME": str(folder)}
        self._berth("up", "--port", "0", "--detach", "--nodes", str(nodes))

    def _berth(self, command: str, *options: str) -> None:
        words = [sys.executable, "-m", "kubeberth", command, "--data-dir", str(self.data), *options]
        subprocess.run(words, env=self._environment, check=True, stdout=subprocess.DEVNULL)

    def pids(self) -> dict[str, int]:
        """Return the running processes."""
        running = msgspec.json.decode((self.data / "running.json").read_bytes())
        return {entry["name"]: entry["pid"] for entry in running["processes"]}

    def memory_mb(self) -> dict[str, int]:
        """Return the resident memory of each process."""
        sizes = {}
        for name, pid in self.pids().items():
            with suppress(OSError):
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                sizes[name] = pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000
        return sizes

    def complaints(self) -> list[str]:
        """Return what the processes say about bugs."""
        lines = []
        for log in sorted((self.data / "logs").glob("*.log")):
            text = log.read_text(errors="replace")
            found = [line for line in text.splitlines() if "Traceback" in line or " ERROR " in line]
            lines += [f"{log.stem}: {line}" for line in found[:5]]
        return lines

    async def dump(self, process: str) -> list[str]:
        """Return what a process says about its queues, on a signal; what it says for a second."""
        log = self.data / "logs" / f"{process}.log"
        before = log.stat().st_size
        os.kill(self.pids()[process], signal.SIGUSR2)
        await asyncio.sleep(1)
        with log.open(errors="replace") as lines:
            lines.seek(before)
            return lines.read().splitlines()

    def stop(self) -> None:
        """End it."""
        self._berth("down")


class History:
    """Follows one resource of a cluster, one revision after the other.

    Parameters
    ----------
    check
        Called after each change, with what was there before and what is now.

    Attributes
    ----------
    objects
        What there is, by key.
    version
        How far it has come: a resourceVersion, that of the change which is checked.
    backwards
        Revisions that came after later ones.
    """

    def __init__(self, client: Client, resource: Resource, check: Check) -> None:
        self._client = client
        self._resource = resource
        self._check = check
        self.objects: dict[str, Document] = {}
        self.backwards: list[str] = []
        self.n_events = 0
        self.relists = 0
        self.version = ""

    async def follow(self) -> None:
        """Follow until cancelled, whatever becomes of the server meanwhile."""
        while True:
            try:
                if not self.version:
                    await self._list()
                watch = self._client.watch(self._resource, resource_version=self.version)
                async for event in watch:
                    item = msgspec.json.decode(event.object)
                    following = item["metadata"]["resourceVersion"]
                    if int(following) < int(self.version):
                        self.backwards.append(f"revisions go back: {self.version}, {following}")
                    self.version = following
                    if event.type != "BOOKMARK":
                        self.n_events += 1
                        self._put(key_of(item), None if event.type == "DELETED" else item)
            except ExpiredError:
                self.version = ""
            except (TransportError, ApiError):
                await asyncio.sleep(0.05)

    async def _list(self) -> None:
        listed = await self._client.list(self._resource)
        self.version = str(listed["metadata"]["resourceVersion"])
        present = {key_of(item): item for item in listed["items"]}
        for key in self.objects.keys() - present.keys():
            self._put(key, None)
        for key, item in present.items():
            self._put(key, item)
        self.relists += 1

    def _put(self, key: str, new: Document | None) -> None:
        old = self.objects.pop(key, None)
        if new is not None:
            self.objects[key] = new
        self._check(old, new)


def key_of(item: Document) -> str:
    """Return `namespace/name`, or the name of what is in no namespace."""
    meta = item["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if "namespace" in meta else str(meta["name"])


def node_of(pod: Document) -> str:
    """Return the node of a pod; empty before it has one."""
    return str(pod["spec"].get("nodeName", ""))


def is_over(pod: Document) -> bool:
    """Return whether a pod has ended."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def is_ready(pod: Document) -> bool:
    """Return whether a pod says that it is ready."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task; one that failed by itself says why."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def going_on(step: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Do a step again and again beside a block; when that ends, the one under way is the last.

    Whoever gives up amid a request does not learn what the server has made of it, and expects what
    was before.
    """
    is_over = asyncio.Event()

    async def go_on() -> None:
        while not is_over.is_set():
            await step()

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        is_over.set()
        await task
