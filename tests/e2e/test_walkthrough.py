"""The documentation's examples end as documented, whichever kubectl is used."""

from pathlib import Path

import pytest
from assigning_pods.walkthrough import FOLDER, walk

from tests.e2e.conftest import kubectl_programs

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    "program", kubectl_programs(), ids=lambda program: Path(program).parent.name
)
def test_the_documented_examples_end_as_documented(berth, program):
    berth.up("-f", str(FOLDER / "nodes.yaml"))
    said = []
    walk(berth.kubectl(program), said.append)
    assert said[-1].startswith("=> nginx keeps running on kube-02")
