"""Proofs of who we are that do not hold for ever."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.unit.client.scripted_server import Script, refuses, says, serving

from kubeberth.api.scheme import PODS
from kubeberth.client.client import Client
from kubeberth.client.credentials import (
    LOOK_AGAIN_S,
    REREAD_S,
    ExecPlugin,
    FileIdentity,
    FileToken,
    Proof,
)
from kubeberth.cluster.pki import Authority, Identity
from kubeberth.errors import TransportError, UnauthorizedError, UsageError
from kubeberth.private_file import write_private

V1 = "client.authentication.k8s.io/v1"


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


def plugin(folder: Path, *says: Any, clock: Clock | None = None, **config: Any) -> ExecPlugin:
    """Return a plugin that answers one thing after the other, and writes down what it was told."""
    for index, document in enumerate(says):
        (folder / f"answer-{index}").write_text(json.dumps(document))
    program = folder / "plugin"
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, pathlib, sys\n"
        "folder = pathlib.Path(__file__).parent\n"
        "calls = len(list(folder.glob('call-*')))\n"
        "(folder / f'call-{calls}').write_text(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "print((folder / f'answer-{calls}').read_text())\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    config = {"apiVersion": V1, "command": "./plugin", **config}
    return ExecPlugin(config, folder, {"server": "https://host"}, clock or Clock())


def credential(version: str = V1, **status: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": "ExecCredential", "status": status}


def test_a_token_file_is_read_again_after_a_while(tmp_path):
    path, clock = tmp_path / "token", Clock()
    path.write_text("one\n")
    token = FileToken(path, clock)
    assert asyncio.run(token.get()).token == "one"
    path.write_text("two\n")
    assert asyncio.run(token.get()).token == "one"
    clock.time += REREAD_S
    assert asyncio.run(token.get()).token == "two"


def test_a_token_file_that_is_gone_for_a_moment_leaves_the_last_token(tmp_path):
    path, clock = tmp_path / "token", Clock()
    path.write_text("one")
    token = FileToken(path, clock)
    asyncio.run(token.get())
    path.unlink()
    clock.time += REREAD_S
    assert asyncio.run(token.get()).token == "one"


def test_a_token_file_that_never_was_is_no_answer(tmp_path):
    with pytest.raises(TransportError, match="cannot read token"):
        asyncio.run(FileToken(tmp_path / "token", Clock()).get())


def test_a_plugin_is_run_once_until_what_it_said_expires(tmp_path):
    clock = Clock()
    expires = "2001-09-09T01:47:40Z"
    source = plugin(
        tmp_path,
        credential(token="one", expirationTimestamp=expires),
        credential(token="two"),
        clock=clock,
    )
    assert asyncio.run(source.get()) == Proof("one")
    assert asyncio.run(source.get()) == Proof("one")
    clock.time += 60
    assert asyncio.run(source.get()) == Proof("two")


def test_a_plugin_may_say_a_certificate(tmp_path):
    source = plugin(tmp_path, credential(clientCertificateData="CERT", clientKeyData="KEY"))
    assert asyncio.run(source.get()) == Proof(None, b"CERT", b"KEY")


def test_a_plugin_is_told_what_it_wants_to_know(tmp_path):
    source = plugin(tmp_path, credential(token="x"), provideClusterInfo=True)
    asyncio.run(source.get())
    assert json.loads((tmp_path / "call-0").read_text()) == {
        "apiVersion": V1,
        "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": {"server": "https://host"}},
    }


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (credential("client.authentication.k8s.io/v1beta1", token="x"), "is configured to use"),
        (credential(), "did not return a token or cert/key pair"),
        ([], "decoding stdout"),
    ],
)
def test_what_a_plugin_says_wrong_is_told(tmp_path, answer, why):
    with pytest.raises(TransportError, match=why):
        asyncio.run(plugin(tmp_path, answer).get())


def test_a_plugin_that_fails_or_is_not_there_is_named(tmp_path):
    with pytest.raises(TransportError, match=r"executable .*/plugin: failed with exit code 1"):
        asyncio.run(plugin(tmp_path).get())
    missing = ExecPlugin(
        {"apiVersion": V1, "command": "no-such-program", "installHint": "Install it."},
        tmp_path,
        {},
        Clock(),
    )
    with pytest.raises(TransportError, match=r"executable no-such-program: .*\n\nInstall it"):
        asyncio.run(missing.get())


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"apiVersion": "v0"}, "invalid apiVersion 'v0'"),
        ({"command": ""}, "command is missing"),
        ({"interactiveMode": "Always"}, "wants to ask questions"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_refused_at_once(tmp_path, config, why):
    with pytest.raises(UsageError, match=why):
        plugin(tmp_path, **config)


def identity(folder: Path, user: str) -> bytes:
    """Return the certificate and key of a user, of an authority in the folder."""
    return Authority(folder / user, 1_000_000_000.0).client("own", Identity(user)).read_bytes()


def test_a_certificate_in_a_file_is_read_again_when_that_has_changed(tmp_path):
    clock, file = Clock(), tmp_path / "own.pem"
    first, second = identity(tmp_path, "ann"), identity(tmp_path, "bob")
    write_private(file, first)
    source = FileIdentity(file, file, Proof(cert=first, key=first), clock)
    write_private(file, second)
    assert asyncio.run(source.get()).cert == first
    clock.time += LOOK_AGAIN_S
    assert asyncio.run(source.get()) == Proof(cert=second, key=second)


def test_a_refused_certificate_is_looked_for_at_once(tmp_path):
    file = tmp_path / "own.pem"
    first, second = identity(tmp_path, "ann"), identity(tmp_path, "bob")
    write_private(file, first)
    source = FileIdentity(file, file, Proof(cert=first, key=first), Clock())
    write_private(file, second)
    source.refused()
    assert asyncio.run(source.get()).cert == second


def test_half_a_pair_leaves_the_last_certificate(tmp_path):
    clock, files = Clock(), (tmp_path / "own.crt", tmp_path / "own.key")
    first, second = (pair(identity(tmp_path, user)) for user in ("ann", "bob"))
    for file, content in zip(files, first, strict=True):
        write_private(file, content)
    source = FileIdentity(*files, Proof(cert=first[0], key=first[1]), clock)
    for file, content, shown in zip(files, second, (first, second), strict=True):
        write_private(file, content)
        clock.time += LOOK_AGAIN_S
        assert asyncio.run(source.get()).cert == shown[0]
    files[0].unlink()
    clock.time += LOOK_AGAIN_S
    assert asyncio.run(source.get()).cert == second[0]


def pair(pem: bytes) -> tuple[bytes, bytes]:
    """Return certificate and key of a file that holds both."""
    at = pem.index(b"-----BEGIN PRIVATE KEY-----")
    return pem[:at], pem[at:]


def authorization(request: web.Request) -> str:
    return request.headers.get("Authorization", "")


def test_a_refused_token_is_fetched_anew_and_shown_once(tmp_path):
    async def story() -> None:
        source = plugin(tmp_path, credential(token="one"), credential(token="two"))
        script = Script(refuses(401, "Unauthorized"), says({"items": []}))
        async with serving(script) as client:
            async with Client(replace(client.credentials, source=source)) as renewing:
                await renewing.list(PODS)
            assert [authorization(r) for r in script.requests] == ["Bearer one", "Bearer two"]
            script.is_over.set()

    asyncio.run(story())


def test_a_token_that_stays_refused_is_an_error(tmp_path):
    async def story() -> None:
        (tmp_path / "token").write_text("one")
        script = Script(refuses(401, "Unauthorized"), refuses(401, "Unauthorized"))
        async with serving(script) as client:
            source = FileToken(tmp_path / "token", Clock())
            async with Client(replace(client.credentials, source=source)) as renewing:
                with pytest.raises(UnauthorizedError):
                    await renewing.list(PODS)
            assert len(script.requests) == 2
            script.is_over.set()

    asyncio.run(story())
