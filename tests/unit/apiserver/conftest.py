"""The application in process: requests through the ASGI interface, no sockets."""

import asyncio
import json
import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote

import pytest

from kubeberth.apiserver.app import App, AppSettings
from kubeberth.apiserver.auth.authn import AUTHENTICATED, Authenticator, User
from kubeberth.apiserver.storage.memory import MemoryStore
from kubeberth.clock import SystemClock

ADMIN = User("admin", frozenset(("system:masters", AUTHENTICATED)))


@dataclass
class Answer:
    code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return self.json["message"]


class Api:
    """A server of its own for every test."""

    def __init__(self, *, allow_anonymous: bool = False, tokens=None) -> None:
        self.store = MemoryStore()
        authenticator = Authenticator(tokens, allow_anonymous=allow_anonymous)
        settings = AppSettings(authenticator=authenticator, chance=random.Random(7))
        self.app = App(self.store, SystemClock(), settings)

    async def start(self):
        await self.app.start()
        account = {"metadata": {"name": "default"}, "automountServiceAccountToken": False}
        await self.post("/api/v1/namespaces/default/serviceaccounts", account)
        return self

    async def ask(self, method, path, body=None, *, user=ADMIN, **headers) -> Answer:
        answer = Answer()
        async with self.open(method, path, body, user=user, **headers) as messages:
            async for message in messages:
                _take(answer, message)
        return answer

    @asynccontextmanager
    async def open(self, method, path, body=None, *, user=ADMIN, **headers):
        """Yield the ASGI messages of an answer as they come; at the end the client hangs up."""
        sent: asyncio.Queue = asyncio.Queue()
        received: asyncio.Queue = asyncio.Queue()
        raw = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        received.put_nowait({"type": "http.request", "body": raw, "more_body": False})

        async def send(message):
            await sent.put(message)

        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "query_string": query.encode(),
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
            ],
            "state": {"user": user},
        }
        task = asyncio.ensure_future(self.app(scope, received.get, send))

        async def messages():
            while True:
                message = await asyncio.wait_for(sent.get(), 10)
                yield message
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    return

        try:
            yield messages()
        finally:
            received.put_nowait({"type": "http.disconnect"})
            await asyncio.wait_for(task, 10)

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
        """Yield a function that returns the next event."""
        async with self.open("GET", path, **options) as messages:
            head = await anext(messages)
            assert head["status"] == 200
            assert await anext(messages) == {
                "type": "http.response.body",
                "body": b"",
                "more_body": True,
            }
            lines: list[bytes] = []

            async def next_event():
                while not lines:
                    message = await anext(messages, None)
                    if message is None or not message.get("more_body"):
                        return None
                    lines.extend(message["body"].splitlines())
                event = json.loads(lines.pop(0))
                return event["type"], event["object"]

            yield next_event


def _take(answer, message) -> None:
    if message["type"] == "http.response.start":
        answer.code = message["status"]
        answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}
    else:
        answer.body += message["body"]


@pytest.fixture
def run():
    """Run a scenario, a coroutine function that gets a started `Api`."""

    def run(scenario, **settings):
        async def main():
            return await scenario(await Api(**settings).start())

        return asyncio.run(main())

    return run
