"""How every long-running process runs: event loop, signals, log lines, readiness, lifeline."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress

import uvloop

from kubeberth.cli.logs import DECISIONS_V, start_logging
from kubeberth.cluster.process import READY_FD

Ready = Callable[[], None]

# How long a thread that wants the interpreter waits for a busy event loop to let go of it. The
# store's thread has to have it back several times a batch; by default, that makes waiting for 5 ms
# each time most of what a write takes.
SWITCH_INTERVAL_S = 0.0005


def run_component(
    main: Callable[[Ready], Coroutine[None, None, None]],
    log_format: str = "text",
    verbosity: int = DECISIONS_V,
) -> None:
    """Run `main(ready)` until it returns, or a signal or the supervisor's end cancels it."""
    start_logging(log_format, verbosity)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    with suppress(asyncio.CancelledError):
        uvloop.run(_until_told(main))


def on_signal(dump: Callable[[], None]) -> None:
    """Have something dumped on SIGUSR2, as kube-scheduler does."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, dump)


async def _until_told(main: Callable[[Ready], Coroutine[None, None, None]]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    if READY_FD in os.environ:
        # The supervisor holds the other end of standard input; when it is gone, so are we.
        loop.add_reader(sys.stdin.fileno(), task.cancel)
    await main(_say_ready)


def _say_ready() -> None:
    gc.freeze()
    if descriptor := os.environ.pop(READY_FD, ""):
        os.write(int(descriptor), b"1")
        os.close(int(descriptor))
