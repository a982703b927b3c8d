"""Spoilt requests to a running server; `benchmarks/fuzz_api.py` sends many more of them."""

import pytest
from benchmarks.fuzz_api import fuzz

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_spoilt_requests_are_refused_and_harm_nobody(berth):
    berth.up("--nodes", "1")
    report = fuzz(berth.data, n_requests=1500, seed=7)
    assert not report.findings, "\n".join(report.findings)
    assert report.codes[201] > 20
    assert report.codes[400] > 100
