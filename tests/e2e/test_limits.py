"""Crowds of connections, and clients that stop reading or go away without a word."""

import json
import resource
import subprocess
import threading
import time
from contextlib import ExitStack

import msgspec
import pytest
from benchmarks.fuzz_api import Connection, Sent, memory_mb

from tests.e2e.test_lifecycle import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MAPS = "/api/v1/namespaces/default/configmaps"
# A second of silence would be seen by anybody; a request takes some milliseconds.
QUICK_S = 1.0


@pytest.fixture
def server(berth):
    """A connection to an API server that nobody else uses."""
    berth.up("--nodes", "0")
    connection = Connection(berth.data / "kubeconfig")
    yield connection
    connection.close()


def apiserver_pid(berth):
    return berth.pids()["apiserver"]


def open_files(pid):
    found = subprocess.run(["ls", f"/proc/{pid}/fd"], capture_output=True, text=True, check=True)
    return len(found.stdout.split())


def write(server, name, size=10):
    body = {"metadata": {"name": name}, "data": {"text": "x" * size}}
    sent = Sent("POST", MAPS, (("Content-Type", "application/json"),), msgspec.json.encode(body))
    begun = time.monotonic()
    code, answer = server.ask(sent)
    assert code == 201, answer
    return time.monotonic() - begun


def watching(server, stack):
    """Return a connection on which a watch was begun."""
    made = stack.enter_context(server.open())
    made.sendall(f"GET {MAPS}?watch=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert made.recv(20).startswith(b"HTTP/1.1 200")
    return made


def test_watchers_that_do_not_read_hold_up_nobody_and_cost_little(berth, server):
    pid = apiserver_pid(berth)
    with ExitStack() as stack:
        for _ in range(20):
            watching(server, stack)
        before = memory_mb(pid)
        slowest = max(write(server, f"big-{number}", 50_000) for number in range(200))
        assert slowest < QUICK_S
        # Each of them would have 10 MB waiting, were what waits not shared and bounded.
        assert memory_mb(pid) - before < 150


def test_watchers_that_vanish_are_forgotten(berth, server):
    pid = apiserver_pid(berth)
    write(server, "first")
    before = open_files(pid)
    with ExitStack() as stack:
        for _ in range(200):
            watching(server, stack)
        assert open_files(pid) >= before + 200
    wait_for(lambda: open_files(pid) <= before)
    assert write(server, "second") < QUICK_S


def test_a_watcher_that_reads_slowly_misses_nothing(server):
    with ExitStack() as stack:
        made = watching(server, stack)
        names = [f"slow-{number}" for number in range(100)]
        writing = threading.Thread(target=lambda: [write(server, name, 2000) for name in names])
        writing.start()
        seen = b""
        while b'"slow-99"' not in seen:
            part = made.recv(1000)
            assert part
            seen += part
        writing.join()
    assert all(f'"name":"{name}"'.encode() in seen for name in names)


def test_five_thousand_idle_connections_hold_up_nobody(berth, server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 6000:
        pytest.skip(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pid = apiserver_pid(berth)
    before = memory_mb(pid)
    try:
        with ExitStack() as stack:
            for _ in range(5000):
                stack.enter_context(server.open())
            assert write(server, "among-many") < QUICK_S
            assert json.loads(server.ask(Sent("GET", f"{MAPS}/among-many"))[1])["data"]
            assert memory_mb(pid) - before < 500
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert write(server, "afterwards") < QUICK_S
