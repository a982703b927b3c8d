"""Two processes of one component that elect a leader between them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

LEASE_S, RENEW_S, RETRY_S = 3, 2, 0.5


class ElectedPair:
    """Both run until `stop`, each with a log of its own in a folder."""

    def __init__(self, component: str, options: Sequence[str], folder: Path) -> None:
        self._component, self._options, self._folder = component, options, folder
        self.processes = [self.start(index) for index in range(2)]

    def start(self, index: int) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-m", "kubeberth", self._component),
            *self._options,
            *("--leader-elect-lease-duration", f"{LEASE_S}s"),
            *("--leader-elect-renew-deadline", f"{RENEW_S}s"),
            *("--leader-elect-retry-period", f"{RETRY_S}s"),
        ]
        with self.log(index).open("ab") as log:
            return subprocess.Popen(command, stderr=log)

    def log(self, index: int) -> Path:
        return self._folder / f"{self._component}-{index}.log"

    def leads(self, index: int) -> bool:
        return "successfully acquired lease" in self.log(index).read_text()

    def leader(self) -> int:
        """Wait for one of the two to lead."""
        give_up_at = time.monotonic() + 20
        while time.monotonic() < give_up_at:
            for index in range(2):
                if self.leads(index):
                    return index
            time.sleep(0.05)
        raise AssertionError("nobody leads")

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
