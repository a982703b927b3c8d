"""Spoilt requests to a running server, and intruders; `benchmarks/` has many more of them."""

import asyncio

import pytest
from benchmarks.fuzz_api import fuzz
from benchmarks.fuzz_isolation import in_process, over_tls

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_spoilt_requests_are_refused_and_harm_nobody(berth):
    berth.up("--nodes", "1")
    report = fuzz(berth.data, n_requests=1500, seed=7)
    assert not report.findings, "\n".join(report.findings)
    assert report.codes[201] > 20
    assert report.codes[400] > 100


@pytest.mark.parametrize(
    ("ask", "n_requests"),
    [
        pytest.param(in_process, 20_000, id="in process"),
        pytest.param(over_tls, 300, id="over TLS"),
    ],
)
def test_nobody_gets_in_where_he_does_not_belong(ask, n_requests):
    report = asyncio.run(ask(n_requests, seed=7))
    assert not report.findings, "\n".join(report.findings)
    assert report.codes[200] > n_requests / 1000
    assert report.codes[401] > n_requests / 3
    assert report.codes[403] > n_requests / 5
