"""How fast writes are answered while a crowd watches them.

    python benchmarks/bench_watch_fanout.py [WATCHERS]

Servers that let few and all watchers send per turn of the event loop (`watch.SENDERS_PER_TURN`)
take turns, over TLS; the ratio counts, not the numbers. Watchers live in a process of their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from kubeberth.cluster.pki import ADMIN, Authority

MAPS = "/api/v1/namespaces/default/configmaps"
WRITERS = 4
SECONDS = 4.0
SETTINGS = {"all at once": 1_000_000, "64 a turn": 64, "16 a turn": 16, "4 a turn": 4}
SERVER = """
import sys
from kubeberth.apiserver import watch
from kubeberth.cli import main
watch.SENDERS_PER_TURN = int(sys.argv.pop(1))
main()
"""


class Watching(asyncio.Protocol):
    """Counts the events that come in."""

    def __init__(self) -> None:
        self.n_events = 0
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        request = f"GET {MAPS}?watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
        transport.write(f"{request} HTTP/1.1\r\nHost: x\r\n\r\n".encode())  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Count the lines that are complete."""
        data = self._rest + data
        self.n_events += data.count(b'"type":"')
        self._rest = data[-7:] if data[-8:] != b'"type":"' else b""


def tls(certificate: Path) -> ssl.SSLContext:
    """Return a client's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate)
    return context


async def watch(port: int, certificate: Path, n_watchers: int) -> None:
    """Open the watches, say so, read how many events to wait for, and wait for them."""
    loop, context = asyncio.get_running_loop(), tls(certificate)
    crowd = [
        (await loop.create_connection(Watching, "127.0.0.1", port, ssl=context))[1]
        for _ in range(n_watchers)
    ]
    await asyncio.sleep(1)
    print("ready", flush=True)
    wanted = int(await loop.run_in_executor(None, sys.stdin.readline))
    while min(watching.n_events for watching in crowd) < wanted:
        await asyncio.sleep(0.005)


async def write(port: int, certificate: Path) -> list[float]:
    """Write as fast as answers come, and return how long each took."""
    context = tls(certificate)
    seconds: list[float] = []
    end = time.perf_counter() + SECONDS

    async def one(who: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        n_written = 0
        while (started := time.perf_counter()) < end:
            body = json.dumps({"metadata": {"name": f"{who}-{n_written}"}, "data": {"a": "b"}})
            head = f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write((head + body).encode())
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert b" 201 " in answer, answer
            length = int(answer.partition(b"content-length: ")[2].split()[0])
            await reader.readexactly(length)
            seconds.append(time.perf_counter() - started)
            n_written += 1
        writer.close()

    await asyncio.gather(*map(one, range(WRITERS)))
    return seconds


def measure(senders: int, n_watchers: int) -> tuple[float, float, float]:
    """Return writes a second, their median seconds, and how long the watchers lag behind."""
    with tempfile.TemporaryDirectory(prefix="kubeberth-bench-") as name:
        authority = Authority(Path(name) / "pki", time.time())  # noqa: TID251
        admin = authority.client("admin", ADMIN)
        server = authority.server("server", ["127.0.0.1"])
        port = 20000 + os.getpid() % 10000
        command = [sys.executable, "-c", SERVER, str(senders), "apiserver", "--port", str(port)]
        command += ["--tls-cert-file", str(server), "--client-ca-file", str(authority.cert_file)]
        command += ["--data-dir", f"{name}/data"]
        with subprocess.Popen(command, env={**os.environ, "BERTH_LOG": "ERROR"}) as serving:
            try:
                time.sleep(2)
                watchers = subprocess.Popen(
                    [sys.executable, __file__, "watch", str(port), str(admin), str(n_watchers)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                assert watchers.stdout
                assert watchers.stdout.readline() == "ready\n"
                seconds = uvloop.run(write(port, admin))
                ended = time.perf_counter()
                watchers.communicate(f"{len(seconds)}\n", timeout=60)
                lag = time.perf_counter() - ended
            finally:
                serving.terminate()
        return len(seconds) / SECONDS, statistics.median(seconds), lag


def main() -> None:
    """Print a line per setting, twice."""
    n_watchers = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    for _ in range(2):
        for title, senders in SETTINGS.items():
            rate, median, lag = measure(senders, n_watchers)
            print(
                f"{n_watchers} watchers, {title:12} {rate:7.0f} writes/s, median "
                f"{median * 1000:6.1f} ms, last event everywhere after {lag * 1000:6.0f} ms",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["watch"]:
        uvloop.run(watch(int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))
    else:
        main()
