"""What it costs a request to be let in: who asks, whether he may, and what admission says.

    python -m benchmarks.bench_access [--nodes 1000] [--pods 20000] [--bindings 500] [--n 2000]
                                      [--audit-log-path FILE]

Asks the application in this process, without sockets, in a cluster of that many nodes and pods, as
an administrator with a certificate, a service account with a token and a role, and a node; each
gets, lists, creates and reports pods. Prints medians in microseconds, processor time of all threads
as a mean, and what the first decision after somebody has written a role binding takes.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from time import perf_counter, process_time
from typing import Any

import msgspec
from benchmarks.isolation.certificates import Authority

from kubeberth.apiserver.app import App, AppSettings
from kubeberth.apiserver.audit.auditor import Auditor
from kubeberth.apiserver.audit.log import AuditLog, LogSettings
from kubeberth.apiserver.audit.policy import DEFAULT_POLICY
from kubeberth.apiserver.auth.authn import AUTHENTICATED, MASTERS, Authenticator, Shown, User
from kubeberth.apiserver.auth.certificates import ClientCertificates
from kubeberth.apiserver.http.request import Request
from kubeberth.apiserver.responses import StreamResponse
from kubeberth.apiserver.storage.memory import MemoryStore
from kubeberth.clock import SystemClock

PODS = "/api/v1/namespaces/default/pods"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMIN = Shown(User("setup", frozenset((MASTERS, AUTHENTICATED))))
MIRROR = {"kubernetes.io/config.mirror": "x", "kubernetes.io/config.source": "file"}
STEPS = ("authentication", "authorization", "admission")
JSON, MERGE = b"application/json", b"application/strategic-merge-patch+json"


class Stopwatch:
    """Adds up how long the calls of some methods take."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def time(self, owner: Any, name: str, step: str) -> None:
        """Take the time of a method from now on."""
        call = getattr(owner, name)

        def timed(*arguments: Any) -> Any:
            began = perf_counter()
            try:
                return call(*arguments)
            finally:
                self.seconds[step] += perf_counter() - began

        setattr(owner, name, timed)

    def time_async(self, owner: Any, name: str, step: str) -> None:
        """Take the time of a coroutine function from now on."""
        call: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def timed(*arguments: Any) -> Any:
            began = perf_counter()
            try:
                return await call(*arguments)
            finally:
                self.seconds[step] += perf_counter() - began

        setattr(owner, name, timed)


class Bench:
    """A cluster, and who asks."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        now = datetime.fromtimestamp(SystemClock().now(), UTC)
        authority = Authority("the authority", now)
        authenticator = Authenticator(certificates=ClientCertificates(authority.pem))
        settings = AppSettings(authenticator=authenticator)
        if options.audit_log_path:
            log = AuditLog(LogSettings(options.audit_log_path), SystemClock())
            settings.auditor = Auditor(DEFAULT_POLICY, log, SystemClock())
        self._app = App(MemoryStore(), SystemClock(), settings)
        node = authority.issue("system:node:node-0", "system:nodes")
        self._who = {
            "administrator": Shown(certificates=authority.issue("admin", MASTERS).chain),
            "node": Shown(certificates=node.chain),
        }
        self._uid = ""
        self._n = 0
        self.watch = Stopwatch()

    async def prepare(self) -> None:
        """Fill the cluster."""
        app, options = self._app, self._options
        await app.start()
        for index in range(options.nodes):
            made = await self._make("/api/v1/nodes", {"metadata": {"name": f"node-{index}"}})
            self._uid = self._uid or made["metadata"]["uid"]
        account = {"metadata": {"name": "default"}}
        await self._make("/api/v1/namespaces/default/serviceaccounts", account)
        for index in range(options.pods):
            await self._make(PODS, _pod(f"pod-{index}", f"node-{index % options.nodes}"))
        rule = {"verbs": ["*"], "apiGroups": [""], "resources": ["pods", "pods/status"]}
        await self._make(f"{RBAC}/clusterroles", {"metadata": {"name": "pods"}, "rules": [rule]})
        for index in range(options.bindings):
            await self._bind(f"of-{index}", f"other-{index}")
        await self._bind("own", "default")
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        token = (await self._make(path, {}))["status"]["token"]
        self._who["account"] = Shown(authorization=f"Bearer {token}")
        watch = self.watch
        watch.time(app._authenticator, "authenticate", "authentication")
        watch.time(app._authorizer, "decide", "authorization")
        watch.time_async(app.registry.chain, "admit", "admission")
        watch.time_async(app.registry.chain, "validate", "admission")

    async def _bind(self, name: str, account: str) -> None:
        subject = {"kind": "ServiceAccount", "name": account, "namespace": "default"}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "pods"}
        body = {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
        await self._make(f"{RBAC}/namespaces/default/rolebindings", body)

    async def _make(self, path: str, body: Any) -> dict[str, Any]:
        status, made = await self._ask(ADMIN, "POST", path, msgspec.json.encode(body))
        assert status == 201, made
        document: dict[str, Any] = msgspec.json.decode(made)
        return document

    async def _ask(
        self, shown: Shown, method: str, target: str, body: bytes = b"", kind: bytes = JSON
    ) -> tuple[int, bytes]:
        headers = [(b"content-type", kind)]
        if shown.authorization:
            headers.append((b"authorization", shown.authorization.encode()))
        request = Request(method, target.encode(), headers, shown, body)
        answer = await self._app.answer(request)
        if isinstance(answer, StreamResponse):
            answer.source.close()
            return 200, b""
        return answer.status, answer.body

    async def row(self, who: str, what: str) -> list[float]:
        """Return the medians of each step and of the whole, microseconds."""
        shown, times, cpu_began = self._who[who], [], process_time()
        for _ in range(self._options.n):
            method, target, body, kind = self._request(who, what)
            self.watch.seconds.clear()
            began = perf_counter()
            status, answer = await self._ask(shown, method, target, body, kind)
            whole = perf_counter() - began
            assert status in (200, 201), answer
            steps = [self.watch.seconds[step] for step in STEPS]
            times.append((*steps, sum(steps), whole))
        cpu = (process_time() - cpu_began) / self._options.n
        medians = (statistics.median(column) for column in zip(*times, strict=True))
        return [seconds * 1e6 for seconds in (*medians, cpu)]

    async def after_binding(self) -> list[float]:
        """Return how long the first decisions after new bindings take, microseconds."""
        times = []
        for index in range(20):
            await self._bind(f"more-{index}", f"more-{index}")
            self.watch.seconds.clear()
            await self._ask(self._who["account"], "GET", f"{PODS}/pod-0")
            times.append(self.watch.seconds["authorization"] * 1e6)
        return times

    def _request(self, who: str, what: str) -> tuple[str, str, bytes, bytes]:
        self._n += 1
        # Pods of node-0, of which all may be told.
        name = f"pod-{self._n * self._options.nodes % self._options.pods}"
        if what == "get":
            return "GET", f"{PODS}/{name}", b"", JSON
        if what == "list":
            selector = "?fieldSelector=spec.nodeName%3Dnode-0"
            return "GET", f"{PODS}{selector}", b"", JSON
        if what == "status patch":
            status = {"status": {"message": str(self._n)}}
            return "PATCH", f"{PODS}/{name}/status", msgspec.json.encode(status), MERGE
        pod = _pod(f"new-{self._n}", "node-0")
        if who == "node":
            owner = {"apiVersion": "v1", "kind": "Node", "name": "node-0", "uid": self._uid}
            pod["metadata"] |= {
                "annotations": MIRROR,
                "ownerReferences": [{**owner, "controller": True}],
            }
        return "POST", PODS, msgspec.json.encode(pod), JSON


def _pod(name: str, node: str) -> dict[str, Any]:
    container = {"name": "c", "image": "nginx", "resources": {"requests": {"cpu": "100m"}}}
    return {"metadata": {"name": name}, "spec": {"nodeName": node, "containers": [container]}}


async def run(options: argparse.Namespace) -> None:
    """Print the table."""
    bench = Bench(options)
    await bench.prepare()
    print(f"{'':28}", *(f"{title:>15}" for title in (*STEPS, "together", "request", "processor")))
    for who in ("administrator", "account", "node"):
        for what in ("get", "list", "create", "status patch"):
            row = await bench.row(who, what)
            print(f"{who:<14}{what:<14}", *(f"{value:>15.1f}" for value in row))
    first = await bench.after_binding()
    print(
        f"\nfirst decision after a new binding, of {options.bindings}: "
        f"median {statistics.median(first):.0f}, largest {max(first):.0f}"
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("nodes", 1000), ("pods", 20_000), ("bindings", 500), ("n", 2000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--audit-log-path", default="")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
