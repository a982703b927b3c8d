"""Recorded kubectl sessions about placement: the same commands, the same output.

`scripts/golden kubectl` replays all of tests/golden/kubectl, and prints what differs.
"""

import pytest

from tests.e2e.conftest import kubectl_programs
from tests.replay.kubectl import FOLDER, forget_storage_classes
from tests.replay.transcripts import Session

PLACEMENT = (
    "seed-*",
    "affinity-*",
    "taint-*",
    "describe-unschedulable-*",
    "cordon*",
    "drain",
    "rollout",
    "scale",
    "preferred",
    "spread",
    "gates",
    "match-label-keys",
    "namespace-affinity",
    "self-affinity",
    "no-nodes",
)

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_kubectl_prints_what_it_prints_on_kubernetes(berth, tmp_path):
    files = sorted({file for name in PLACEMENT for file in FOLDER.glob(f"{name}.yaml")})
    assert len(files) == 33, "a recording was added or lost: count it here"
    berth.up("--nodes", "0")
    forget_storage_classes(kubectl_programs()[0], berth.data / "kubeconfig")
    found = {}
    for file in files:
        folder = tmp_path / file.stem
        folder.mkdir()
        session = Session(file, kubectl_programs()[0], berth.data / "kubeconfig", folder)
        if differences := session.replay():
            found[file.stem] = "\n".join(map(str, differences))
    assert not found, "\n".join(f"{name}:\n{text}" for name, text in found.items())
