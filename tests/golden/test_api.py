"""Recorded exchanges with kube-apiserver 1.36: as many agree as did before.

`scripts/golden api -v` shows what differs. A number here only ever grows; steps about kinds that
are not served yet do not count.
"""

import asyncio
from collections import Counter
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def golden():
    loader = SourceFileLoader("golden", str(ROOT / "scripts/golden"))
    module = module_from_spec(spec_from_loader("golden", loader))
    import sys

    sys.modules["golden"] = module  # dataclasses look their module up
    loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("theme", "n_agree", "n_differ"),
    [
        pytest.param("discovery", 34, 1, id="discovery"),
        pytest.param("lists", 344, 1, id="lists and watches"),
        pytest.param("updates", 319, 2, id="updates"),
        pytest.param("admission", 126, 1, id="admission"),
    ],
)
def test_recorded_answers_agree(golden, theme, n_agree, n_differ):
    file = ROOT / f"tests/golden/api/{theme}.jsonl.gz"
    verdicts = asyncio.run(golden.replay(file))
    counts = Counter(verdict for verdict, _, _ in verdicts)
    differing = [name for verdict, name, _ in verdicts if verdict == "differ"]
    assert counts["agree"] >= n_agree, differing
    assert counts["differ"] <= n_differ, differing
