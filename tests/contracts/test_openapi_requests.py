"""Requests made from our own OpenAPI documents; `benchmarks/fuzz_openapi.py` sends many more."""

import asyncio

import pytest

pytest.importorskip("schemathesis")

from benchmarks.fuzz_openapi import Fuzzer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("document", "only"),
    [
        pytest.param("apis/policy/v1", "", id="budgets"),
        pytest.param("apis/apiextensions.k8s.io/v1", "", id="definitions"),
        pytest.param("apis/certificates.k8s.io/v1", "", id="certificates"),
        pytest.param("apis/apps/v1", "/deployments", id="deployments"),
        pytest.param("api/v1", "/pods/{name}", id="pods and their parts"),
        pytest.param("api/v1", "/serviceaccounts", id="service accounts and their tokens"),
    ],
)
def test_the_server_keeps_to_what_it_publishes(document, only):
    loop = asyncio.new_event_loop()
    fuzzer = Fuzzer(loop)
    try:
        fuzzer.run(document, n_examples=8, seed=3, only=only)
    finally:
        fuzzer.close()
        loop.close()
    assert not fuzzer.report.findings, "\n".join(fuzzer.report.findings)
    assert fuzzer.report.codes.total() > 20
