"""A whole cluster in virtual time: the real API server, controllers, scheduler and kubelets.

They run in one event loop and ask the API server's application directly; nothing else of them is
otherwise. A network decides who is heard when, and here each has a moment of every second: first
the controllers, one after the other, then the scheduler, then the kubelets. So it is always the
same of the things that can happen that happens, and an hour takes a second.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from kubeberth.api.scheme import BY_KIND, JOBS, NODES, Resource
from kubeberth.apiserver.app import App, AppSettings
from kubeberth.apiserver.auth.authn import AUTHENTICATED, Shown, User
from kubeberth.apiserver.http.request import Request
from kubeberth.apiserver.responses import StreamResponse
from kubeberth.apiserver.storage.memory import MemoryStore
from kubeberth.client import calls
from kubeberth.client.calls import Call
from kubeberth.client.client import Client, WatchEvent
from kubeberth.client.credentials import Credentials
from kubeberth.client.mandate import LeadershipLostError
from kubeberth.controllers import supervisor
from kubeberth.controllers.nodes.pod_gc import QUARANTINE_S
from kubeberth.controllers.supervisor import ControllerSettings
from kubeberth.errors import ApiError
from kubeberth.kubelet.nodes import Fleet, NodesSettings
from kubeberth.kubelet.specs import NodeSpec
from kubeberth.kubelet.stages import Stages
from kubeberth.kubelet.transitions import Step
from kubeberth.scheduler import scheduler
from kubeberth.scheduler.config import Backoff, Settings
from tests.virtual_time import VirtualClock, VirtualLoop

T = TypeVar("T")
Document = dict[str, Any]

ADMIN = User.of("admin", ("system:masters", AUTHENTICATED))
# The moment of each second at which somebody is heard; controllers that are not named, in the
# middle of theirs.
ACCOUNTS = (
    "resourcequota-controller",
    "deployment-controller",
    "statefulset-controller",
    "daemon-set-controller",
    "job-controller",
    "replication-controller",
    "replicaset-controller",
)
MOMENTS = {account: 0.05 + index / 20 for index, account in enumerate(ACCOUNTS)}
OTHER_CONTROLLERS, SCHEDULER, KUBELETS = 0.5, 0.7, 0.9
# Pods start at once, and take their time to end: until then, everybody else has done what he can.
STOP_S = 25.0
DELAYS = {step: STOP_S if step is Step.STOP else 0.0 for step in Step}
# So long after the last thing that happened nothing more will.
QUIET_S = STOP_S + 5
# Unless a job waits for its pods, which it makes again after ten minutes at the latest.
JOB_QUIET_S = 610.0
# Or a controller was refused something, which it asks for again so late at the latest.
REFUSED_QUIET_S = 1010.0
# Who was refused is tried again as soon as something happens, and only then: who has waited for
# five minutes goes behind those who have not, and when room comes, who has is a matter of luck.
BACKOFF = Backoff(0.05, 0.05, math.inf)
# No rollout takes longer.
PATIENCE_S = 3600.0
# What goes on all the time, besides what nodes tell of themselves.
HUM = ("leases", "events")


class DirectClient(Client):
    """A client in the API server's own process.

    Parameters
    ----------
    moment
        Of each second; None when it takes no time to be heard.
    is_late
        Whether it also hears of things only then.
    wrote
        Called after each write that was accepted.
    refused
        Called after each that was not allowed.
    """

    def __init__(
        self,
        app: App,
        user: User,
        moment: float | None = None,
        *,
        is_late: bool = False,
        wrote: Callable[[Call], None] = lambda _: None,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(Credentials("http://in-process"))
        self._app = app
        self._user = user
        self._moment = moment
        self._is_late = is_late
        self._wrote = wrote
        self._refused = refused

    async def __aenter__(self) -> DirectClient:
        return self

    async def close(self) -> None:
        """There is nothing to close."""

    async def send(self, call: Call, patience_s: float | None = None) -> bytes:
        """Return the body of a successful answer."""
        if call.method != "GET":
            await self._its_moment()
            if not self._mandate.holds:
                raise LeadershipLostError("leaderelection lost")
        answer = await self._app.answer(self._request(call))
        if isinstance(answer, StreamResponse):
            answer = answer.whole()
        if answer.status in (403, 422):
            self._refused()
        if answer.status >= 400:
            raise ApiError.from_status(msgspec.json.decode(answer.body), answer.status)
        if call.method != "GET":
            self._wrote(call)
        return answer.body

    async def watch(
        self, resource: Resource, namespace: str | None = None, **parameters: Any
    ) -> AsyncGenerator[WatchEvent, None]:
        """Follow a collection until the server ends the watch."""
        answer = await self._app.answer(
            self._request(calls.watch(resource, namespace, **parameters))
        )
        if not isinstance(answer, StreamResponse):
            raise ApiError.from_status(msgspec.json.decode(answer.body), answer.status)
        news = asyncio.Event()
        answer.source.begin(news.set)
        try:
            while (chunk := answer.source.take()) is not None:
                if not chunk:
                    news.clear()
                    await news.wait()
                    if self._is_late:
                        await self._its_moment()
                for line in chunk.splitlines():
                    event = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
                    yield WatchEvent(msgspec.json.decode(event["type"]), bytes(event["object"]))
        finally:
            answer.source.close()

    def _request(self, call: Call) -> Request:
        target = quote(call.path, safe="/:@!$&'()*+,;=~")
        if call.query:
            target += f"?{urlencode(call.query, quote_via=quote)}"
        headers = [(b"accept", b"application/json"), (b"content-type", call.content_type.encode())]
        return Request(call.method, target.encode(), headers, Shown(self._user), call.body or b"")

    async def _its_moment(self) -> None:
        """Wait for this client's moment of the second, unless it is now."""
        if self._moment is None:
            return
        now = asyncio.get_running_loop().time()
        at = math.floor(now) + self._moment
        if at < now - 1e-6:
            at += 1
        if at > now + 1e-6:
            await asyncio.sleep(at - now)


class LiveCluster:
    """A cluster; only to be used within `running`.

    Attributes
    ----------
    admin
        The client of somebody who may do everything.
    """

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._moved_at = 0.0
        self._last = ""
        self._is_refused = False
        settings = AppSettings(chance=Random(1))
        self._app = App(MemoryStore(), VirtualClock(), settings)
        self.admin = DirectClient(self._app, ADMIN, wrote=self._note)
        settled = NodesSettings(Stages(DELAYS, 0.0))
        self._fleet = Fleet(self._kubelet, settled, VirtualClock())

    async def start(self, specs: Sequence[NodeSpec], settings: Settings) -> None:
        """Start everything, and return when the nodes are ready."""
        await self._app.start()
        clock = VirtualClock()
        self._tasks.create_task(self._fleet.run(specs))
        # One key at a time: what several would do at once would depend on how long each takes.
        settled = ControllerSettings(workers=1, default_storage_class="standard")
        self._start(supervisor.run, self.admin, settled, client_of=self._controller)
        await self.settle()
        self._start(scheduler.run, self._late(SCHEDULER), settings, clock=clock)
        await self.settle()

    def _start(self, run: Callable[..., Any], *arguments: Any, **given: Any) -> None:
        self._tasks.create_task(run(*arguments, **{"clock": VirtualClock(), **given}))

    def _kubelet(self, node: str) -> DirectClient:
        user = User.of(f"system:node:{node}", ("system:nodes", AUTHENTICATED))
        return DirectClient(self._app, user, KUBELETS, wrote=self._note)

    def _controller(self, account: str) -> DirectClient:
        moment = MOMENTS.get(account, OTHER_CONTROLLERS)
        told = {"wrote": self._note, "refused": self._note_refusal}
        return DirectClient(self._app, ADMIN, moment, **told)

    def _late(self, moment: float) -> DirectClient:
        return DirectClient(self._app, ADMIN, moment, is_late=True, wrote=self._note)

    def _note(self, call: Call) -> None:
        parts = call.path.split("/")
        is_of_node = parts[-3:-2] == ["nodes"] and parts[-1] == "status"
        if not is_of_node and not any(kind in parts for kind in HUM):
            self._last = f"{call.method} {call.path}"
            self._moved_at = asyncio.get_running_loop().time()

    def _note_refusal(self) -> None:
        self._is_refused = True

    async def settle(self) -> None:
        """Return when nothing has happened for a while, at the beginning of a second.

        Raises
        ------
        RestlessError
            Something goes on happening.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        while (at := self._moved_at + await self._quiet_s()) > loop.time():
            if at > until:
                raise RestlessError(self._last)
            await asyncio.sleep(math.ceil(at) - loop.time())

    async def _quiet_s(self) -> float:
        """Return how long nothing has to happen until nothing will."""
        if self._is_refused:
            return REFUSED_QUIET_S
        return JOB_QUIET_S if any(map(_is_waiting, await self.items(JOBS))) else QUIET_S

    async def apply(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Make objects, or change those that are there, as `kubectl apply` does."""
        for document in documents:
            resource = BY_KIND[document["apiVersion"], document["kind"]]
            meta = document["metadata"]
            namespace = meta.get("namespace", "default") if resource.namespaced else None
            call = calls.patch(
                resource,
                meta["name"],
                document,
                namespace,
                kind="apply",
            )
            query = {"fieldManager": "kubectl", "force": "true"}
            await self.admin.send(Call(call.method, call.path, query, call.body, call.content_type))

    async def join(self, specs: Iterable[NodeSpec]) -> None:
        """Have more nodes."""
        await asyncio.gather(*map(self._fleet.add, specs))
        await self.settle()

    async def lose(self, names: Sequence[str]) -> None:
        """Let nodes be gone for good, at once; return when their pods are, too."""
        for name in names:
            await self._fleet.remove(name)
        for name in names:
            await self.admin.delete(NODES, name)
        await asyncio.sleep(QUARANTINE_S + 1)
        await self.settle()

    async def items(self, resource: Resource) -> list[Document]:
        """Return the objects of a kind, as kubectl prints them."""
        listed = (await self.admin.list(resource))["items"]
        named = {"apiVersion": resource.api_version, "kind": resource.kind}
        return [{**named, **item} for item in listed]


def _is_waiting(job: Document) -> bool:
    """Return whether a job is to have more pods than it has; those here never get done."""
    spec = job["spec"]
    wanted = min(spec["parallelism"], spec.get("completions", spec["parallelism"]))
    n_active: int = job.get("status", {}).get("active", 0)
    return not spec.get("suspend") and n_active < wanted


def running(
    specs: Sequence[NodeSpec],
    story: Callable[[LiveCluster], Any],
    settings: Settings | None = None,
) -> Any:
    """Return what comes of a coroutine function that is given a running cluster."""

    async def scenario() -> Any:
        try:
            async with asyncio.TaskGroup() as tasks:
                cluster = LiveCluster(tasks)
                await cluster.start(specs, settings or Settings(backoff=BACKOFF))
                found = await story(cluster)
                raise _EnoughError
        except* _EnoughError:
            pass
        return found

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario())


class RestlessError(Exception):
    """A cluster does not come to rest; the last thing that was written."""


class _EnoughError(Exception):
    """The story is over: everybody may stop."""
