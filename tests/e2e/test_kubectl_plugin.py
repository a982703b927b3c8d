"""`kubectl berth`, as a real kubectl finds and runs it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kubeberth.testing import start_cluster
from tests.e2e.conftest import kubectl_programs

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
PODS = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  nodeSelector: {disktype: ssd}
  containers: [{name: web, image: nginx}]
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """A folder with the programs that installing the package makes."""
    folder = tmp_path_factory.mktemp("bin")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name, target in declared.items():
        module, function = target.split(":")
        script = folder / name
        script.write_text(f"#!{sys.executable}\nfrom {module} import {function}\n{function}()\n")
        script.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def cluster():
    with start_cluster(nodes=2) as cluster:
        yield cluster


@pytest.fixture
def kubectl(scripts, cluster, tmp_path):
    """Run kubectl with the programs in its PATH, and nothing of the user's own."""
    environment = {
        **cluster.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path / "data"),
    }

    def run(line, stdin=None, **more):
        command = [kubectl_programs()[0], *shlex.split(line)]
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={**environment, **more},
        )

    return run


def test_kubectl_lists_the_plugin(kubectl, scripts):
    assert f"{scripts}/kubectl-berth\n" in kubectl("plugin list").stdout


def test_help_calls_the_program_what_people_type(kubectl):
    assert kubectl("berth why --help").stdout.startswith("Usage: kubectl berth why [OPTIONS] POD")


def test_why_asks_the_cluster_that_kubectl_works_on(kubectl):
    assert kubectl("create namespace team").returncode == 0
    assert kubectl("create serviceaccount default -n team").returncode in (0, 1)
    assert kubectl("apply -n team -f -", stdin=PODS).returncode == 0
    why = kubectl("berth why -n team web")
    assert why.stdout.startswith("team/web: pending\n"), why.stderr
    assert "disktype" in why.stdout


def test_contexts_are_those_of_the_kubeconfig(kubectl, cluster):
    assert kubectl("berth why --context berth -n none web").stderr == (
        'error: pods "web" not found in namespace none\n'
    )
    missing = kubectl("berth why --context elsewhere web")
    assert missing.stderr.startswith("error: ")
    assert "elsewhere" in missing.stderr
    assert len(missing.stderr.splitlines()) == 1
    told = kubectl(f"berth why --kubeconfig {cluster.kubeconfig} web", KUBECONFIG="/nowhere")
    assert told.stderr == 'error: pods "web" not found in namespace default\n'


def test_lint_judges_by_the_live_cluster_and_its_exit_code_comes_through(kubectl):
    done = kubectl("berth lint -f - --cluster live -o json", stdin=PODS)
    assert done.returncode == 1
    [finding] = json.loads(done.stdout)
    assert finding["message"] == "no node has the label disktype"
    refused = kubectl("berth lint -f -", stdin="a: b")
    assert refused.returncode == 2


def test_plan_places_in_the_live_cluster(kubectl):
    planned = kubectl("berth plan -f - -o json", stdin=PODS.replace("disktype", "nothing"))
    assert planned.returncode == 1
    assert "web" in planned.stdout


def test_what_could_come_next_is_completed(kubectl):
    assert kubectl("__complete berth wh").stdout.splitlines()[0] == (
        "why\tShow why a pod is where it is, or nowhere."
    )
    offered = kubectl("__complete berth lint --output ''").stdout.split()
    assert offered[:4] == ["text", "json", "sarif", "github"]
