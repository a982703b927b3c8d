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
    tallies = []
    for path in options.file or sorted(FOLDER.glob("*.jsonl.gz")):
        tally = replay_file(path)
        print(line(path, tally))
        for difference in tally.differences[:5]:
            print(f"    {difference}")
        tallies.append(tally)
    n_whole = sum(tally.n_whole_scenarios for tally in tallies)
    n_differing = sum(len(differing(tally)) for tally in tallies)
    n_scenarios = sum(tally.n_scenarios for tally in tallies)
    n_admitted = sum(tally.n_admitted for tally in tallies)
    print(
        f"{n_whole} of {n_scenarios} scenarios whole, {n_admitted} admitted pods; "
        f"{n_differing} answers differ"
    )
    return 1 if n_differing else 0


def differing(tally: Tally) -> set[str]:
    """Return which answers differ."""
    return {text.split(":")[0] for text in tally.differences}


def line(path: Path, tally: Tally) -> str:
    """Return one file's result in a line."""
    skipped = ", ".join(f"{n} {why}" for why, n in sorted(tally.skipped.items()))
    n_compared = tally.n_compared + tally.n_refusals + tally.n_admitted
    n_answers = tally.n_decisions + tally.n_refusals + tally.n_admitted
    return (
        f"{path.name.removesuffix('.jsonl.gz'):20} {n_compared - len(differing(tally))}"
        f"/{n_compared} compared answers agree, of {n_answers}; "
        f"{tally.n_whole_scenarios}/{tally.n_scenarios} scenarios whole"
        + (f"; not yet: {skipped}" if skipped else "")
    )
