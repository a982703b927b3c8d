"""`scripts/golden kubectl FILE...`: take recorded kubectl sessions again, on a cluster of ours."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.replay.transcripts import Session

FOLDER = Path(__file__).resolve().parents[1] / "golden/kubectl"
BERTH = Path(sys.executable).with_name("berth")


def main(arguments: list[str]) -> int:
    """Replay the files; return 1 when any of them differs."""
    parser = argparse.ArgumentParser(prog="golden kubectl", description=__doc__)
    parser.add_argument("--kubectl", default=str(Path(sys.executable).with_name("kubectl")))
    parser.add_argument("--quiet", action="store_true", help="do not print the differences")
    parser.add_argument("files", nargs="*", type=Path, help="default: all of tests/golden/kubectl")
    options = parser.parse_args(arguments)
    kubectl = shutil.which(options.kubectl)
    if kubectl is None:
        parser.error(f"there is no {options.kubectl}: name a kubectl with --kubectl")
    with tempfile.TemporaryDirectory(prefix="kubeberth-golden-") as name:
        files = options.files or sorted(FOLDER.glob("*.yaml"))
        return replay_all(files, kubectl, Path(name), quiet=options.quiet)


def forget_storage_classes(kubectl: str, kubeconfig: Path) -> None:
    """Have no default class: where sessions were recorded, there was none."""
    command = [kubectl, "--kubeconfig", str(kubeconfig), "delete", "storageclass", "--all"]
    subprocess.run(command, check=True, capture_output=True)


def replay_all(files: list[Path], kubectl: str, folder: Path, *, quiet: bool) -> int:
    """Replay sessions on one cluster and print how many agree."""
    at = ["--data-dir", str(folder / "cluster")]
    up = [BERTH, "up", "--nodes", "0", "--port", "0", "--detach", *at]
    subprocess.run(up, check=True, capture_output=True)
    agreeing = 0
    try:
        forget_storage_classes(kubectl, folder / "cluster/kubeconfig")
        for file in files:
            work = folder / file.stem
            work.mkdir()
            started = time.monotonic()
            session = Session(file, kubectl, folder / "cluster/kubeconfig", work)
            differences = session.replay()
            agreeing += not differences
            verdict, seconds = "DIFF" if differences else "ok  ", time.monotonic() - started
            print(f"{verdict} {file.stem:32} {seconds:5.1f} s", flush=True)
            for difference in [] if quiet else differences:
                print(f"{difference}\n", flush=True)
    finally:
        subprocess.run([BERTH, "down", *at], check=True, capture_output=True)
    print(f"{agreeing} of {len(files)} sessions agree")
    return 0 if agreeing == len(files) else 1
