"""What lint calls an error keeps pods from running: asked of the engine that places them."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from kubeberth.cli.plan import command
from kubeberth.lint.rule import Severity
from tests.lint.cases import BROKEN, CASES, SOUND, report_of

FINE, REFUSED = 0, 2
# A pod that names its node is not placed by anybody, and waits there.
NOT_PLACED = ("KB107",)


def is_judged_by_a_cluster(case):
    return case.read_text().startswith("# cluster: ")


def plan(case):
    cluster = str(CASES / "cluster.yaml")
    return CliRunner().invoke(command, ["-f", str(case), "--cluster", cluster]).exit_code


@pytest.mark.parametrize(
    "case",
    [case for case in BROKEN if not case.name.startswith(NOT_PLACED)],
    ids=lambda case: case.stem,
)
def test_pods_of_which_an_error_is_told_stay_pending(case):
    worst = max(finding.severity for finding in report_of(case).findings)
    if worst is Severity.ERROR:
        assert plan(case) != FINE
    else:
        assert plan(case) != REFUSED


@pytest.mark.parametrize(
    "case", list(filter(is_judged_by_a_cluster, SOUND)), ids=lambda case: case.stem
)
def test_pods_of_which_nothing_is_told_have_their_place(case):
    assert plan(case) == FINE
