"""Clusters and kubectls for the end-to-end tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from assigning_pods.walkthrough import Kubectl

BERTH = Path(sys.executable).with_name("berth")


def kubectl_programs() -> list[str]:
    """Return the pinned kubectl, and the machine's own if it has one."""
    beside = Path(sys.executable).with_name("kubectl")
    found = [str(beside)] if beside.exists() else []
    outside = os.pathsep.join(
        folder for folder in os.environ["PATH"].split(os.pathsep) if folder != str(beside.parent)
    )
    if own := shutil.which("kubectl", path=outside):
        found.append(own)
    return found


@dataclass(frozen=True)
class Berth:
    """The `berth` command on one data directory."""

    data: Path

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [str(BERTH), arguments[0], "--data-dir", str(self.data), *arguments[1:]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
        return done

    def run_with_kubeconfig(self, *arguments: str) -> str:
        """Run a command that works by a kubeconfig, and return what it printed."""
        environment = {**os.environ, "KUBECONFIG": str(self.data / "kubeconfig")}
        done = subprocess.run(
            [str(BERTH), *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def up(self, *arguments: str) -> str:
        """Start the cluster in the background and return what it printed."""
        return self.run("up", "--port", "0", "--detach", *arguments).stdout

    def pids(self) -> dict[str, int]:
        """Return the process ids by name, as `berth status` shows them."""
        rows = [line.split() for line in self.run("status").stdout.splitlines()]
        return {row[0]: int(row[1]) for row in rows if len(row) > 4 and row[1].isdigit()}

    def kill(self, process: str) -> None:
        """Kill a process with SIGKILL."""
        os.kill(self.pids()[process], signal.SIGKILL)

    def kubectl(self, program: str = "") -> Kubectl:
        """Return a kubectl for this cluster."""
        home = self.data.parent / "home"
        home.mkdir(exist_ok=True)
        return Kubectl(program or kubectl_programs()[0], self.data / "kubeconfig", home)


@pytest.fixture
def berth(tmp_path: Path) -> Iterator[Berth]:
    """A data directory for one test; what runs in it is stopped afterwards."""
    made = Berth(tmp_path / "cluster")
    yield made
    if made.data.exists():
        made.run("down", check=False)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Berth]:
    """A running cluster of three nodes, shared by a module's tests."""
    made = Berth(tmp_path_factory.mktemp("shared") / "cluster")
    made.up("--nodes", "3")
    yield made
    made.run("down")


Apply = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def apply(cluster: Berth, tmp_path: Path) -> Apply:
    """Apply a manifest given as text."""
    path = tmp_path / "manifest.yaml"

    def apply(text: str) -> subprocess.CompletedProcess[str]:
        path.write_text(text)
        return cluster.kubectl().run(f"kubectl apply -f {path}")

    return apply


@pytest.fixture
def run(cluster: Berth) -> Callable[..., str]:
    """Run a `berth` command that works by a kubeconfig, and return what it printed."""
    return cluster.run_with_kubeconfig
