"""Measures an API server over HTTPS: one of its own in a temporary folder, or a foreign one.

The load comes from a process of its own (`kubeberth.bench.load`).
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import msgspec

from kubeberth.api.scheme import PODS, Resource
from kubeberth.apiserver.objects import key_of, pack
from kubeberth.apiserver.storage.sqlite import SqliteStore
from kubeberth.bench.pods import OWNER, pod
from kubeberth.bench.processes import cpu_seconds, resident_kibibytes
from kubeberth.clock import Clock
from kubeberth.cluster.kubeconfigs import kubeconfig, linked_user
from kubeberth.cluster.pki import ADMIN, Authority
from kubeberth.cluster.process import READY_FD
from kubeberth.errors import UsageError

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0


class Writes(msgspec.Struct, frozen=True):
    """How many objects a second are written, and how long one write takes its client.

    Parameters
    ----------
    verb, kind
        What is done, and to what: see `kubeberth.bench.writes`.
    server_cpu_us
        Processor time of the server for each write, which depends less than the rest on what else
        the machine does; None where it cannot be seen.
    """

    verb: str
    kind: str
    n_objects: int
    connections: int
    per_second: float
    p50_ms: float
    p99_ms: float
    server_cpu_us: float | None = None


class Listing(msgspec.Struct, frozen=True):
    """From the request to the first and the last byte of a list; medians of the repeats."""

    n_pods: int
    mebibytes: float
    first_byte_ms: float
    last_byte_ms: float


class FanOut(msgspec.Struct, frozen=True):
    """From one write to the moment when the last of the watchers has heard of it."""

    n_watchers: int
    median_ms: float
    slowest_ms: float


class IdleWatches(msgspec.Struct, frozen=True):
    """What the server's resident memory grows by for a watch that has nothing to tell."""

    n_watches: int
    kibibytes_each: float


class Start(msgspec.Struct, frozen=True):
    """From the start of the process to `/readyz`, and its memory then."""

    n_objects: int
    seconds: float
    mebibytes: float


Result = Writes | Listing | FanOut | IdleWatches | Start


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Parameters
    ----------
    pods
        How many are written; so many of 4 KiB are then listed.
    """

    pods: int = 10_000
    connections: int = 32
    watchers: tuple[int, ...] = (10, 200, 2000)
    writes: int = 20
    idle_watches: int = 1000
    stored: int = 100_000
    repeats: int = 5


class LoadGenerator:
    """The other process; a context manager.

    Parameters
    ----------
    module
        What runs there: `kubeberth.bench.load`, or something that can do more.
    """

    def __init__(self, kubeconfig_file: Path, module: str = "kubeberth.bench.load") -> None:
        self._command = [sys.executable, "-m", module, str(kubeconfig_file)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def do(
        self, do: str, tell: Callable[[int], None] = lambda _: None, **job: Any
    ) -> dict[str, Any]:
        """Have a job done and return what came of it.

        Parameters
        ----------
        tell
            Called with how much of it is done, now and then.

        Raises
        ------
        UsageError
            The server did not answer as it should.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(msgspec.json.encode({"do": do, **job}) + b"\n")
        self._process.stdin.flush()
        while line := self._process.stdout.readline():
            result: dict[str, Any] = msgspec.json.decode(line)
            if "error" in result:
                raise UsageError(f"the API server cannot be measured: {result['error']}")
            if "done" not in result:
                return result
            tell(result["done"])
        raise UsageError("the API server cannot be measured: no answer")


class OwnServer:
    """An API server in a temporary folder; a context manager.

    Parameters
    ----------
    program
        What runs instead of this kubeberth's `berth`.
    """

    def __init__(self, clock: Clock, program: tuple[str, ...] = ()) -> None:
        self._clock = clock
        self._program = program or (sys.executable, "-m", "kubeberth")
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        prefix = "kubeberth-bench-"
        self.folder = folder = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix))
        )
        self._authority = authority = Authority(folder / "pki", self._clock.now())
        self._certificate = authority.server("server", ["127.0.0.1"])
        self.port = _free_port()
        user = linked_user(authority.client("admin", ADMIN))
        self.kubeconfig = folder / "kubeconfig"
        server = f"https://127.0.0.1:{self.port}"
        self.kubeconfig.write_text(kubeconfig(server, authority.cert_file, user))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._stack.close()

    @property
    def data_dir(self) -> Path:
        """Where the server keeps its objects."""
        return self.folder / "data"

    def start(self) -> float:
        """Start the process and return how many seconds it took to answer `/readyz`."""
        command = [*self._program, "apiserver", "--port", str(self.port)]
        command += ["--tls-cert-file", str(self._certificate)]
        command += ["--client-ca-file", str(self._authority.cert_file)]
        command += ["--data-dir", str(self.data_dir)]
        ready, told = os.pipe()
        environment = {**os.environ, "BERTH_LOG": "ERROR", READY_FD: str(told)}
        started = self._clock.monotonic()
        self._process = subprocess.Popen(
            command, env=environment, pass_fds=(told,), stdin=subprocess.PIPE
        )
        os.close(told)
        # The other end is closed without a word when the process dies.
        with open(ready, "rb") as file:
            if not file.read(1):
                raise UsageError("the API server did not start")
        return self._clock.monotonic() - started

    def stop(self) -> None:
        """Stop the process."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=STOP_TIMEOUT_S)
            self._process = None

    def cpu_seconds(self) -> float | None:
        """Return the processor time that the process has used; None where nobody tells."""
        assert self._process is not None
        return cpu_seconds(self._process.pid)

    def resident_kibibytes(self) -> int:
        """Return the memory that the process has."""
        assert self._process is not None
        return resident_kibibytes(self._process.pid)


def make_namespace(
    load: LoadGenerator, name: str, labels: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Make a namespace that takes pods."""
    body = {"metadata": {"name": name, "labels": dict(labels)}}
    load.do("ask", method="POST", path="/api/v1/namespaces", body=body)
    account = {"metadata": {"name": "default"}}
    path = f"/api/v1/namespaces/{name}/serviceaccounts"
    # A real cluster makes the account by itself, and may have been faster.
    load.do("ask", method="POST", path=path, body=account, ok=[409])


def empty_namespace(load: LoadGenerator, name: str) -> None:
    """Delete all pods of a namespace, at once."""
    path = f"/api/v1/namespaces/{name}/pods?gracePeriodSeconds=0"
    load.do("ask", method="DELETE", path=path)


class Measurement:
    """Measures one server, in a namespace of its own.

    Parameters
    ----------
    server
        Whose memory is looked at; None for a foreign server.
    """

    def __init__(self, load: LoadGenerator, plan: Plan, server: OwnServer | None = None) -> None:
        self._load = load
        self._plan = plan
        self._server = server
        self._namespace = f"bench-{uuid.uuid4().hex[:8]}"
        self._path = f"/api/v1/namespaces/{self._namespace}"
        self._owner_uid = ""

    @contextmanager
    def namespace(self) -> Iterator[None]:
        """Make the namespace, and take it away again with what is in it."""
        make_namespace(self._load, self._namespace)
        path, body = f"{self._path}/configmaps", {"metadata": {"name": OWNER}}
        self._owner_uid = self._load.do("ask", method="POST", path=path, body=body)["uid"]
        try:
            yield
        finally:
            if self._server is None:
                empty_namespace(self._load, self._namespace)
                self._load.do("ask", method="DELETE", path=self._path, ok=[409])

    def writes(self) -> Iterator[Writes]:
        """Measure a pod's life, write by write, and what else is written all the time."""
        n, pods = self._plan.pods, f"{self._path}/pods"
        self._create(pods, "Pod", "warm", 500)
        yield self._created(pods, "Pod", n)
        for verb in ("update", "bind", "patch status", "delete", "remove"):
            yield self._changed(pods, "Pod", verb, n)
        group = f"/apis/{{}}/namespaces/{self._namespace}".format
        deployments = f"{group('apps/v1')}/deployments"
        leases = f"{group('coordination.k8s.io/v1')}/leases"
        self._create(deployments, "Deployment", "bench", n)
        yield self._changed(deployments, "Deployment", "update status", n)
        self._create(leases, "Lease", "bench", n)
        yield self._changed(leases, "Lease", "renew", n)
        yield self._created(f"{group('events.k8s.io/v1')}/events", "Event", n)

    def _create(self, path: str, kind: str, name: str, n: int) -> dict[str, Any]:
        job: dict[str, Any] = {"path": path, "kind": kind, "name": name, "n": n}
        place = self._namespace, self._owner_uid
        return self._load.do("create", connections=self._plan.connections, place=place, **job)

    def _created(self, path: str, kind: str, n: int) -> Writes:
        return self._measured("create", kind, lambda: self._create(path, kind, "bench", n))

    def _changed(self, path: str, kind: str, verb: str, n: int) -> Writes:
        job: dict[str, Any] = {"path": path, "verb": verb, "n": n}
        job["connections"] = self._plan.connections
        return self._measured(verb, kind, lambda: self._load.do("change", **job))

    def _measured(self, verb: str, kind: str, write: Callable[[], dict[str, Any]]) -> Writes:
        before = self._server_cpu_seconds()
        result = write()
        after = self._server_cpu_seconds()
        seconds, n = result["seconds"], len(result["seconds"])
        return Writes(
            verb,
            kind,
            n,
            self._plan.connections,
            n / result["elapsed"],
            seconds[n // 2] * 1000,
            seconds[n * 99 // 100] * 1000,
            None if before is None or after is None else (after - before) / n * 1e6,
        )

    def _server_cpu_seconds(self) -> float | None:
        return None if self._server is None else self._server.cpu_seconds()

    def listing(self) -> Iterator[Listing]:
        """Measure the list of many pods of 4 KiB, in a namespace that has no others."""
        plan, path = self._plan, f"{self._path}/pods"
        self._create(path, "padded Pod", "padded", plan.pods)
        results = [self._load.do("read_list", path=path) for _ in range(plan.repeats)]
        yield Listing(
            plan.pods,
            results[0]["bytes"] / 2**20,
            statistics.median(result["first"] for result in results) * 1000,
            statistics.median(result["last"] for result in results) * 1000,
        )

    def fan_out(self, n_watchers: int) -> Iterator[FanOut]:
        """Measure how soon many watchers hear of one write."""
        path = f"{self._path}/configmaps"
        result = self._load.do("fan_out", path=path, watchers=n_watchers, writes=self._plan.writes)
        seconds = result["seconds"]
        yield FanOut(n_watchers, statistics.median(seconds) * 1000, max(seconds) * 1000)

    def idle_watches(self) -> Iterator[IdleWatches]:
        """Measure the memory of watches; of a foreign server it cannot be seen."""
        if self._server is None:
            return
        path, n = f"{self._path}/configmaps", self._plan.idle_watches
        # The first ones take what all of them share.
        self._load.do("hold", path=path, watches=10)
        before = self._server.resident_kibibytes()
        self._load.do("hold", path=path, watches=n)
        grown = self._server.resident_kibibytes() - before
        self._load.do("release")
        yield IdleWatches(n, grown / n)


async def fill(data_dir: Path, n_objects: int) -> None:
    """Put pods into the data directory of a server that does not run."""
    await store_all(data_dir, _stored_pods(n_objects))


def _stored_pods(n_objects: int) -> Iterator[tuple[Resource, dict[str, Any]]]:
    for index in range(n_objects):
        document = pod(f"stored-{index}")
        document["metadata"] |= {"namespace": "stored", "uid": str(uuid.uuid4())}
        yield PODS, document


async def store_all(data_dir: Path, objects: Iterator[tuple[Resource, dict[str, Any]]]) -> None:
    """Put objects into the data directory of a server that does not run."""
    store = SqliteStore(data_dir)

    async def create(resource: Resource, document: dict[str, Any]) -> None:
        metadata = document["metadata"]
        key = key_of(resource, metadata.get("namespace", ""), metadata["name"])
        await store.create(key, pack(resource, document))

    try:
        while batch := list(islice(objects, 500)):
            await asyncio.gather(*(create(*entry) for entry in batch))
    finally:
        await store.close()


def measure_start(server: OwnServer, n_objects: int) -> Start:
    """Return how long a stopped server takes to answer again, with what it has to read."""
    seconds = server.start()
    return Start(n_objects, seconds, server.resident_kibibytes() / 1024)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
