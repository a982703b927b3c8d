"""`scripts/golden plan [FILE...]`: plan what kube-scheduler was recorded to decide.

Prints per file how many answers of a plan agree, and the first differences.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.golden.plan_replay import differences
from tests.golden.scheduling_replay import read

FOLDER = Path(__file__).resolve().parents[1] / "golden/scheduling"


def main(arguments: list[str]) -> int:
    """Replay, and return 1 when an answer differs."""
    parser = argparse.ArgumentParser(prog="golden plan", description=__doc__)
    parser.add_argument("file", nargs="*", type=Path, help="default: tests/golden/scheduling")
    options = parser.parse_args(arguments)
    n_all = n_differing = 0
    for path in options.file or sorted(FOLDER.glob("*.jsonl.gz")):
        answers = [answer for record in read(path) for answer in differences(record)]
        found = [answer for answer in answers if answer is not None]
        name = path.name.removesuffix(".jsonl.gz")
        print(f"{name:20} {len(answers) - len(found)}/{len(answers)} answers agree")
        for difference in found[:5]:
            print(f"    {difference}")
        n_all, n_differing = n_all + len(answers), n_differing + len(found)
    print(f"{n_all} answers compared; {n_differing} differ")
    return 1 if n_differing else 0
