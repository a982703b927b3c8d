"""The application in process: requests and answers as objects, no sockets."""

import asyncio
import json
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from kubeberth.apiserver.admission_selection import AdmissionSettings
from kubeberth.apiserver.app import App, AppSettings
from kubeberth.apiserver.auth.authn import AUTHENTICATED, Authenticator, Shown, User
from kubeberth.apiserver.http.head import fields
from kubeberth.apiserver.http.request import Request
from kubeberth.apiserver.objects import encode, key_of, unpack
from kubeberth.apiserver.responses import StreamResponse
from kubeberth.apiserver.storage.memory import MemoryStore
from kubeberth.clock import SystemClock

ADMIN = User("admin", frozenset(("system:masters", AUTHENTICATED)))


@dataclass
class Answer:
    code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    warnings: list[str] = field(default_factory=list)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return self.json["message"]


class WatchedChain:
    """Admission that also looks whether somebody has changed what is stored."""

    def __init__(self, registry) -> None:
        self._registry, self._chain = registry, registry.chain
        self.look_at_body = self._chain.look_at_body

    async def admit(self, attributes):
        await self._chain.admit(attributes)
        self._look(attributes)

    async def validate(self, attributes):
        self._look(attributes)
        await self._chain.validate(attributes)

    def _look(self, attributes):
        resource, old = attributes.resource, attributes.old
        if attributes.operation != "UPDATE" or resource.custom is not None or old is None:
            return
        entry = self._registry.store.get(key_of(resource, attributes.namespace, attributes.name))
        if entry is not None and str(entry.revision) == old["metadata"]["resourceVersion"]:
            assert encode(unpack(resource, entry)) == encode(old)


class Api:
    """A server of its own for every test."""

    def __init__(
        self,
        *,
        allow_anonymous: bool = False,
        tokens=None,
        admission=None,
        auditor=None,
        store=None,
        clock=None,
    ) -> None:
        self.store = store or MemoryStore()
        authenticator = Authenticator(tokens, allow_anonymous=allow_anonymous)
        settings = AppSettings(
            authenticator=authenticator,
            chance=random.Random(7),
            admission=admission or AdmissionSettings(),
            auditor=auditor,
        )
        self.app = App(self.store, clock or SystemClock(), settings)
        self.app.registry.chain = WatchedChain(self.app.registry)

    async def start(self):
        await self.app.start()
        account = {"metadata": {"name": "default"}, "automountServiceAccountToken": False}
        await self.post("/api/v1/namespaces/default/serviceaccounts", account)
        return self

    async def ask(self, method, path, body=None, *, user=ADMIN, **headers) -> Answer:
        answer = await self.open(method, path, body, user=user, **headers)
        if isinstance(answer, StreamResponse):
            code, body = 200, b"".join([chunk async for chunk in chunks_of(answer)])
        else:
            code, body = answer.status, answer.body
        found = fields(code, answer.content_type, answer.headers)
        warnings = [
            value.removeprefix('299 - "')[:-1].replace('\\"', '"')
            for name, value in found
            if name.lower() == "warning"
        ]
        return Answer(code, {name.lower(): value for name, value in found}, body, warnings)

    async def open(self, method, path, body=None, *, user=ADMIN, **headers):
        """Return an answer as it is, which may be one that grows."""
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        pairs = [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ]
        request = Request(method, path.encode(), pairs, Shown(user), raw)
        return await self.app.answer(request)

    async def get(self, path, **options) -> Answer:
        return await self.ask("GET", path, **options)

    async def post(self, path, body, **options) -> Answer:
        return await self.ask("POST", path, body, **options)

    async def put(self, path, body, **options) -> Answer:
        return await self.ask("PUT", path, body, **options)

    async def patch(self, path, body, kind="merge-patch+json", **options) -> Answer:
        content_type = f"application/{kind}"
        return await self.ask("PATCH", path, body, content_type=content_type, **options)

    async def delete(self, path, body=None, **options) -> Answer:
        return await self.ask("DELETE", path, body, **options)

    async def pod(self, name, **spec) -> Answer:
        labels = spec.pop("labels", {})
        body = {
            "metadata": {"name": name, "labels": labels},
            "spec": {"containers": [{"name": "c", "image": "nginx"}], **spec},
        }
        return await self.post("/api/v1/namespaces/default/pods", body)

    async def config_map(self, name, **data) -> Answer:
        body = {"metadata": {"name": name}, "data": data}
        return await self.post("/api/v1/namespaces/default/configmaps", body)

    @asynccontextmanager
    async def watch(self, path, **options):
        """Yield a function that returns the next event; at the end the client hangs up."""
        answer = await self.open("GET", path, **options)
        assert isinstance(answer, StreamResponse)
        chunks = chunks_of(answer)
        lines: list[bytes] = []

        async def next_event():
            while not lines:
                chunk = await asyncio.wait_for(anext(chunks, None), 10)
                if chunk is None:
                    return None
                lines.extend(chunk.splitlines())
            event = json.loads(lines.pop(0))
            return event["type"], event["object"]

        try:
            yield next_event
        finally:
            answer.source.close()


async def chunks_of(answer):
    """Yield what a client reads of an answer that grows, as soon as it comes."""
    news = asyncio.Event()
    answer.source.begin(news.set)
    while (chunk := answer.source.take()) is not None:
        if chunk:
            yield chunk
        else:
            news.clear()
            await news.wait()
    answer.source.close()


@pytest.fixture
def run():
    """Run a scenario, a coroutine function that gets a started `Api`."""

    def run(scenario, **settings):
        async def main():
            return await scenario(await Api(**settings).start())

        return asyncio.run(main())

    return run
