"""One child process: started, waited for until it is ready, restarted when it dies.

A child is told two things through inherited file descriptors: the write end of a pipe to say
"ready" on, and standard input as a lifeline, which ends when the supervisor does, however that
happens.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from kubeberth.errors import UsageError

READY_FD = "KUBEBERTH_READY_FD"
# The processes trust the cluster's own authority, which their kubeconfigs hold. Loading the
# machine's public ones, as aiohttp does when it is imported, takes 100 ms of every start.
NO_PUBLIC_AUTHORITIES = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}

# Between tries of a child that does not get ready. One that was ready is restarted at once, however
# often it is killed: a start takes longer than any harm that it could do by dying again.
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.1, 5.0
# A child that never became ready in so many tries will not: say so instead of going on.
FIRST_TRIES = 3
STOP_S = 5.0


class Child:
    """A supervised process.

    Parameters
    ----------
    command
        Program and arguments.
    log_file
        Where its output goes.
    tell
        Called with one line for people when it dies and when it is back.
    changed
        Called when its pid changes.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_file: Path,
        *,
        tell: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self.pid = 0
        self.restarts = 0
        self.ready = asyncio.Event()
        self._got_ready = self._was_ready = False
        self._command = command
        self._log_file = log_file
        self._tell = tell
        self._changed = changed

    async def run(self) -> None:
        """Keep the process running until cancelled, then stop it.

        Raises
        ------
        UsageError
            It never got ready; the text holds its last words.
        """
        backoff_s = 0.0
        while True:
            self._got_ready = False
            code = await self._run_once()
            self.restarts += 1
            end = f"{self.name} {_describe_exit(code)}{self._last_words(code)}"
            if self.restarts == FIRST_TRIES and not self._was_ready:
                raise UsageError(f"{end} (see {self._log_file})")
            self._tell(f"{end}; restarting it")
            grown_s = min(max(backoff_s * 2, FIRST_BACKOFF_S), LAST_BACKOFF_S)
            backoff_s = 0.0 if self._got_ready else grown_s
            await asyncio.sleep(backoff_s)

    async def _run_once(self) -> int:
        ready_read, ready_write = os.pipe()
        lifeline_read, lifeline_write = os.pipe()
        with self._log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=lifeline_read,
                stdout=log,
                stderr=log,
                pass_fds=(ready_write,),
                env={**os.environ, **NO_PUBLIC_AUTHORITIES, READY_FD: str(ready_write)},
                # A Ctrl-C in the terminal is the supervisor's to handle.
                start_new_session=True,
            )
        os.close(ready_write)
        os.close(lifeline_read)
        self.pid = process.pid
        self._changed()
        waiting = asyncio.create_task(self._wait_ready(ready_read))
        try:
            return await process.wait()
        finally:
            waiting.cancel()
            self.ready.clear()
            await _stop(process)
            os.close(lifeline_write)
            self.pid = 0

    async def _wait_ready(self, descriptor: int) -> None:
        """Set `ready` when the child writes to its pipe; a pipe that just ends says nothing."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(descriptor, readable.set)
        try:
            await readable.wait()
            if os.read(descriptor, 1):
                self.ready.set()
                self._got_ready = self._was_ready = True
                if self.restarts:
                    self._tell(f"{self.name} is back (pid {self.pid})")
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def _last_words(self, code: int) -> str:
        if code < 0:
            return ""
        lines = self._log_file.read_text(errors="replace").splitlines()
        return f": {lines[-1]}" if lines else ""


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _describe_exit(code: int) -> str:
    if code < 0:
        return f"was killed ({signal.Signals(-code).name})"
    return f"ended with exit code {code}"
