"""`scripts/golden kubelet [FILE...]`: replay recorded decisions of the kubelet.

Prints per theme how many scenarios agree, and of one that does not the first difference.
`tests/golden/kubelet/README.md` describes the files: resource managers, and the other checks of
admission.
"""

from __future__ import annotations

import argparse
import gzip
import json
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.replay import kubelet_predicates, kubelet_topology

Document = dict[str, Any]

FOLDER = Path(__file__).resolve().parents[1] / "golden/kubelet"
SHOWN = 3


@dataclass
class Tally:
    """What came of replaying the scenarios of one theme.

    Parameters
    ----------
    differences
        Of each scenario that does not agree, the first difference.
    """

    n_scenarios: int = 0
    differences: list[str] = field(default_factory=list)


def main(arguments: list[str]) -> int:
    """Replay, and return 1 when a scenario differs."""
    parser = argparse.ArgumentParser(prog="golden kubelet", description=__doc__)
    parser.add_argument("file", nargs="*", type=Path, help="default: tests/golden/kubelet")
    options = parser.parse_args(arguments)
    n_scenarios = n_differing = 0
    for path in options.file or sorted(FOLDER.glob("*.jsonl.gz")):
        print(path.name)
        for theme, tally in replay_file(path).items():
            n_agreeing = tally.n_scenarios - len(tally.differences)
            print(f"  {theme:14} {n_agreeing}/{tally.n_scenarios} scenarios agree")
            for difference in tally.differences[:SHOWN]:
                print(f"    {difference}")
            n_scenarios += tally.n_scenarios
            n_differing += len(tally.differences)
    print(f"{n_scenarios - n_differing} of {n_scenarios} scenarios agree")
    return 1 if n_differing else 0


def replay_file(path: Path) -> dict[str, Tally]:
    """Replay all scenarios of a file; return what came of it by theme."""
    tallies: dict[str, Tally] = {}
    for record in read(path):
        scenario = record["scenario"]
        tally = tallies.setdefault(scenario["theme"], Tally())
        tally.n_scenarios += 1
        if difference := first_difference(record):
            name = " ".join(filter(None, (scenario["id"], scenario.get("case"))))
            tally.differences.append(f"{name}: {difference}")
    return tallies


def read(path: Path) -> Iterator[Document]:
    """Yield the records of a file."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            yield json.loads(line)


def first_difference(record: Document) -> str | None:
    """Return where our answer to a scenario differs first, or how we fail to give one."""
    try:
        ours = answers(record["scenario"])
    except Exception as error:  # noqa: BLE001 - it must not hide how the other scenarios fare
        *_, where = traceback.extract_tb(error.__traceback__)
        return f"no answer: {error!r} at {Path(where.filename).name}:{where.lineno}"
    return next(differences(record["expected"], ours), None)


def answers(scenario: Document) -> Document:
    """Return what is expected of a scenario, as kubeberth has it."""
    module = kubelet_topology if "machine" in scenario else kubelet_predicates
    return module.answers(scenario)


def differences(recorded: Any, ours: Any, place: str = "") -> Iterator[str]:
    """Yield where two answers differ, the smallest parts of them that do."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for key in (*recorded, *(key for key in ours if key not in recorded)):
            at = f"{place}.{key}" if place else key
            yield from differences(recorded.get(key, "nothing"), ours.get(key, "nothing"), at)
    elif isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
        for index, (one, other) in enumerate(zip(recorded, ours, strict=True)):
            yield from differences(one, other, f"{place}[{index}]")
    elif recorded != ours:
        yield f"{place}: recorded {json.dumps(recorded)}, ours {json.dumps(ours)}"
