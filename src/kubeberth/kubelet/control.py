"""The nodes of a running process, commanded by others on this machine over a socket.

One JSON object goes there on a line, one comes back:

    {"do": "fail", "names": ["node-1"], "how": "network"}
    {"said": ["node node-1 has lost its network: ..."]}
    {"said": [], "error": "no node node-9 runs here"}

Whoever may write to the socket's file may command: it belongs to the user of the process.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import msgspec

from kubeberth.errors import UsageError
from kubeberth.kubelet.faults import FLAP_PERIOD_S, Fault, How, saying
from kubeberth.kubelet.nodes import Fleet
from kubeberth.kubelet.specs import specs_from_manifests

# A node that cannot register, say for want of a certificate, is not waited for longer.
REGISTER_S = 10.0
# Of a command: thousands of node manifests fit.
MAX_BYTES = 64 * 1024 * 1024
# Of a socket's name: systems take 103 to 107 bytes.
MAX_NAME = 100


class Command(msgspec.Struct, omit_defaults=True):
    """What is to be done.

    Parameters
    ----------
    manifests
        Of nodes to add.
    names
        Of nodes that are there.
    """

    do: Literal["add", "remove", "fail", "heal"]
    names: list[str] = []
    manifests: list[dict[str, Any]] = []
    how: How = How.DEAD
    period_s: float = FLAP_PERIOD_S


class Reply(msgspec.Struct, omit_defaults=True):
    """What was done, a line for each node, and what went wrong then."""

    said: list[str] = []
    error: str = ""


@asynccontextmanager
async def listening(path: Path, fleet: Fleet) -> AsyncIterator[None]:
    """Take commands for a fleet at a socket.

    Raises
    ------
    UsageError
        There can be no socket.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            writer.write(msgspec.json.encode(await _reply(line, fleet)) + b"\n")
            await writer.drain()
        except (OSError, ValueError):
            return  # whoever asked is gone, or asks for too much
        finally:
            writer.close()

    with suppress(FileNotFoundError):
        path.unlink()  # of a process that was killed
    try:
        with _only_for_owner(), _short(path) as name:
            server = await asyncio.start_unix_server(answer, name, limit=MAX_BYTES)
    except OSError as error:
        raise UsageError(f"cannot listen at {path}: {error.strerror or error}") from None
    try:
        yield
    finally:
        server.close()
        with suppress(FileNotFoundError):
            path.unlink()


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Give a name of a socket that is not too long, whatever folder it is in."""
    if len(str(path)) <= MAX_NAME:
        yield str(path)
        return
    with TemporaryDirectory(prefix="berth-") as folder:
        link = Path(folder) / "to"
        link.symlink_to(path.parent.absolute())
        yield str(link / path.name)


@contextmanager
def _only_for_owner() -> Iterator[None]:
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


async def _reply(line: bytes, fleet: Fleet) -> Reply:
    reply = Reply()
    try:
        command = msgspec.json.decode(line, type=Command)
        await _do(command, fleet, reply.said)
    except msgspec.DecodeError as error:
        reply.error = f"this is no command: {error}"
    except UsageError as error:
        reply.error = str(error)
    return reply


async def _do(command: Command, fleet: Fleet, said: list[str]) -> None:
    for spec in specs_from_manifests(command.manifests, may_be_none=command.do != "add"):
        try:
            async with asyncio.timeout(REGISTER_S):
                await fleet.add(spec)
        except TimeoutError:
            said.append(f"node {spec.name} added; it has not registered yet")
        else:
            said.append(f"node {spec.name} added")
    for name in command.names:
        match command.do:
            case "remove":
                await fleet.remove(name)
                said.append(f"node {name} removed")
            case "fail":
                fault = Fault(command.how, command.period_s)
                await fleet.fail(name, fault)
                said.append(f"node {name} {saying(fault)}")
            case "heal":
                await fleet.heal(name)
                said.append(f"node {name} is well again")
            case "add":
                raise UsageError("add takes manifests, not names")


def ask(path: Path, command: Command, tell: Callable[[str], None]) -> None:
    """Have a process do something with its nodes, and tell it of each.

    Raises
    ------
    UsageError
        It does not; what was done before is told.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            with _short(path) as name:
                connection.connect(name)
            connection.sendall(msgspec.json.encode(command) + b"\n")
            with connection.makefile("rb") as answer:
                line = answer.readline()
    except OSError as error:
        raise UsageError(
            f"no nodes can be reached at {path}: {error.strerror or error}: does `berth up`, or "
            "`berth nodes --control`, run?"
        ) from None
    if not line:
        raise UsageError(f"the nodes at {path} went away before they answered")
    reply = msgspec.json.decode(line, type=Reply)
    for done in reply.said:
        tell(done)
    if reply.error:
        raise UsageError(reply.error)
