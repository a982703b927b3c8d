"""How long it takes from typing `berth up` until kubectl shows a pod with a node.

    python benchmarks/bench_first_pod.py [RUNS]

Each run starts in a new data directory and takes the way of a person: `berth up --detach`,
`kubectl run`, then `kubectl get pod -o wide` until there is a node.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(sys.executable).parent


def one_run() -> tuple[float, float, float, str]:
    """Return seconds until up, until placed, until running, and what `berth status` says."""
    with tempfile.TemporaryDirectory(prefix="kubeberth-bench-") as name:
        data = Path(name) / "cluster"
        environment = {
            **os.environ,
            "HOME": name,
            "KUBECONFIG": str(data / "kubeconfig"),
        }

        def run(*command: str | Path) -> str:
            return subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            ).stdout

        started = time.perf_counter()
        run(BIN / "berth", "up", "--data-dir", data, "--port", "0", "--detach")
        up = time.perf_counter() - started
        try:
            run(BIN / "kubectl", "run", "first", "--image=nginx")
            while "node-" not in run(BIN / "kubectl", "get", "pod", "first", "-o", "wide"):
                time.sleep(0.01)
            placed = time.perf_counter() - started
            while "Running" not in run(BIN / "kubectl", "get", "pod", "first"):
                time.sleep(0.01)
            running = time.perf_counter() - started
            time.sleep(5)
            status = run(BIN / "berth", "status", "--data-dir", data)
        finally:
            run(BIN / "berth", "down", "--data-dir", data)
        return up, placed, running, status


def main() -> None:
    """Print the median of some runs."""
    runs = [one_run() for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 5)]
    for index, what in enumerate(("up", "placed", "running")):
        seconds = [run[index] for run in runs]
        print(
            f"{what:<8} median {statistics.median(seconds):.2f} s"
            f"  min {min(seconds):.2f}  max {max(seconds):.2f}"
        )
    print(f"\nidle, after the last run:\n{runs[-1][3]}")


if __name__ == "__main__":
    main()
