"""What lint calls an error keeps pods from running: asked of the engine that places them."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from kubeberth.cli.plan import command
from kubeberth.lint.rule import Severity
from tests.lint.cases import BROKEN, CASES, SOUND, report_of

FINE, PENDING, REFUSED = 0, 1, 2
# A pod that names its node is not placed by anybody, and waits there.
NOT_PLACED = ("KB107",)


def judged_by_a_cluster(cases):
    found = [case for case in cases if case.read_text().startswith("# cluster: ")]
    return [case for case in found if not case.name.startswith(NOT_PLACED)]


def plan(case):
    cluster = str(CASES / "cluster.yaml")
    return CliRunner().invoke(command, ["-f", str(case), "--cluster", cluster]).exit_code


@pytest.mark.parametrize("case", judged_by_a_cluster(BROKEN), ids=lambda case: case.stem)
def test_pods_of_which_an_error_is_told_stay_pending(case):
    worst = max(finding.severity for finding in report_of(case).findings)
    if worst is Severity.ERROR:
        assert plan(case) == PENDING
    else:
        assert plan(case) != REFUSED


@pytest.mark.parametrize("case", judged_by_a_cluster(SOUND), ids=lambda case: case.stem)
def test_pods_of_which_nothing_is_told_have_their_place(case):
    assert plan(case) == FINE
