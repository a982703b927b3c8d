"""`scripts/golden scheduling [FILE...]`: replay recorded decisions of kube-scheduler.

Prints per file how many decisions agree, and the first differences.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.golden.scheduling_replay import Tally, replay_file

FOLDER = Path(__file__).resolve().parents[1] / "golden/scheduling"


def main(arguments: list[str]) -> int:
    """Replay, and return 1 when a decision differs."""
    parser = argparse.ArgumentParser(prog="golden scheduling", description=__doc__)
    parser.add_argument("file", nargs="*", type=Path, help="default: tests/golden/scheduling")
    options = parser.parse_args(arguments)
    every = (path for path in sorted(FOLDER.glob("*.jsonl.gz")) if "admission" not in path.name)
    failed = False
    for path in options.file or every:
        tally = replay_file(path)
        print(line(path, tally))
        for difference in tally.differences[:5]:
            print(f"    {difference}")
        failed = failed or bool(tally.differences)
    return 1 if failed else 0


def line(path: Path, tally: Tally) -> str:
    """Return one file's result in a line."""
    skipped = ", ".join(f"{n} {why}" for why, n in sorted(tally.skipped.items()))
    return (
        f"{path.name.removesuffix('.jsonl.gz'):20} "
        f"{tally.n_compared - len({d.split(':')[0] for d in tally.differences})}"
        f"/{tally.n_compared} compared decisions agree, of {tally.n_decisions}; "
        f"{tally.n_whole_scenarios}/{tally.n_scenarios} scenarios whole"
        + (f"; not yet: {skipped}" if skipped else "")
    )
