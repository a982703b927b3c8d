"""`berth bench api` on a small scale: every measurement gives a figure."""

import json

import pytest
from click.testing import CliRunner

from kubeberth.cli.bench import command


@pytest.mark.slow
def test_every_measurement_gives_a_figure():
    arguments = ["api", "--json", "--pods", "100", "--connections", "4", "--watchers", "3"]
    arguments += ["--idle-watches", "20", "--stored", "50"]
    outcome = CliRunner().invoke(command, arguments, catch_exceptions=False)
    results = [json.loads(line) for line in outcome.stdout.splitlines()]
    writes = [result for result in results if "verb" in result]
    verbs = [write["verb"] for write in writes if write["kind"] == "Pod"]
    assert verbs == ["create", "update", "bind", "patch status", "delete", "remove"]
    assert {write["n_objects"] for write in writes} == {100}
    assert {write["kind"] for write in writes} == {"Pod", "Deployment", "Lease", "Event"}
    for figure in ("per_second", "median_ms", "kibibytes_each", "last_byte_ms", "seconds"):
        assert any(figure in result for result in results), f"no {figure}"
