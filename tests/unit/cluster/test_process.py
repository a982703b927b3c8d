import asyncio
import os
import signal
import sys

import pytest

from kubeberth.cluster.process import Child
from kubeberth.errors import UsageError

SAY_READY = "import os; os.write(int(os.environ['KUBEBERTH_READY_FD']), b'1')\n"
UNTIL_LIFELINE_ENDS = "import sys; sys.stdin.read()\n"


def child(tmp_path, program, told=None):
    return Child(
        "worker",
        [sys.executable, "-c", program],
        tmp_path / "worker.log",
        tell=(told if told is not None else []).append,
        changed=lambda: None,
    )


async def stopped(task):
    task.cancel()
    await asyncio.wait([task])


def test_a_child_says_when_it_is_ready_and_is_stopped_with_its_supervisor(tmp_path):
    async def scenario():
        worker = child(tmp_path, SAY_READY + UNTIL_LIFELINE_ENDS)
        task = asyncio.create_task(worker.run())
        await asyncio.wait_for(worker.ready.wait(), 10)
        pid = worker.pid
        await stopped(task)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    asyncio.run(scenario())


def test_a_killed_child_is_restarted_and_people_are_told(tmp_path):
    async def scenario():
        told = []
        worker = child(tmp_path, SAY_READY + UNTIL_LIFELINE_ENDS, told)
        task = asyncio.create_task(worker.run())
        await asyncio.wait_for(worker.ready.wait(), 10)
        first = worker.pid
        os.kill(first, signal.SIGKILL)
        while not told:
            await asyncio.sleep(0.01)
        await asyncio.wait_for(worker.ready.wait(), 10)
        assert worker.pid != first
        assert worker.restarts == 1
        assert told == [
            "worker was killed (SIGKILL); restarting it",
            f"worker is back (pid {worker.pid})",
        ]
        await stopped(task)

    asyncio.run(scenario())


def test_a_child_that_never_gets_ready_is_given_up_with_its_last_words(tmp_path):
    worker = child(tmp_path, "import sys; sys.exit('no port for me')")
    with pytest.raises(UsageError, match="worker ended with exit code 1: no port for me"):
        asyncio.run(asyncio.wait_for(worker.run(), 20))
