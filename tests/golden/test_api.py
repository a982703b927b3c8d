"""Recorded exchanges with kube-apiserver 1.36: as many agree as did before.

`scripts/golden api -v` shows what differs. A number here only ever grows; steps about kinds that
are not served yet do not count.
"""

import asyncio
from collections import Counter

import pytest
from tests.replay.api import FOLDER, replay


@pytest.mark.parametrize(
    ("theme", "n_agree", "n_differ"),
    [
        pytest.param("discovery", 52, 0, id="discovery"),
        pytest.param("lists", 374, 0, id="lists and watches", marks=pytest.mark.slow),
        pytest.param("updates", 425, 1, id="updates"),
        pytest.param("admission", 531, 0, id="admission"),
        pytest.param("patches", 284, 0, id="patches"),
        pytest.param("validation", 865, 0, id="validation"),
        pytest.param("nodes", 406, 1, id="nodes"),  # decision 0013
    ],
)
def test_recorded_answers_agree(theme, n_agree, n_differ):
    verdicts = asyncio.run(replay(FOLDER / f"{theme}.jsonl.gz"))
    counts = Counter(verdict for verdict, _, _ in verdicts)
    differing = [name for verdict, name, _ in verdicts if verdict == "differ"]
    assert counts["agree"] >= n_agree, differing
    assert counts["differ"] <= n_differ, differing
