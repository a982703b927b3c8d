"""`berth plan`: what people see, and what CI goes by."""

from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner
from tests.unit.planner.clusters import deployment, pod, zones

from kubeberth.cli.plan import command

PACKED = """\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- pluginConfig:
  - name: NodeResourcesFit
    args: {scoringStrategy: {type: MostAllocated, resources: [{name: cpu, weight: 1}]}}
  plugins:
    multiPoint:
      disabled: [{name: PodTopologySpread}, {name: NodeResourcesBalancedAllocation}]
"""


@pytest.fixture
def files(tmp_path):
    """A folder with a cluster, two manifests and a configuration."""
    (tmp_path / "nodes.yaml").write_text(yaml.safe_dump_all(zones(3)))
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/web.yaml").write_text(yaml.safe_dump(deployment("web", 3)))
    (tmp_path / "deploy/cache.yml").write_text(yaml.safe_dump(pod("cache")))
    (tmp_path / "packed.yaml").write_text(PACKED)
    return tmp_path


def plan(files, *arguments, stdin=None):
    given = ["--cluster", str(files / "nodes.yaml"), *map(str, arguments)]
    return CliRunner().invoke(command, given, input=stdin)


def test_everything_that_has_its_place_is_exit_code_0(files):
    result = plan(files, "-f", files / "deploy")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("4 pods placed, 0 pending\n")


def test_pending_pods_and_failed_assertions_are_exit_code_1(files):
    assert plan(files, "-f", files / "deploy", "--scale", "web=99").exit_code == 1
    failed = plan(files, "-f", files / "deploy", "--assert", "web spread over >= 4 zones")
    assert failed.exit_code == 1
    assert "FAILED  web spread over >= 4 zones: it is on 3: a, b, c" in failed.stdout


MACHINE = {
    "apiVersion": "kubeberth.io/v1",
    "kind": "Machine",
    "metadata": {"name": "two-sockets"},
    "nodes": ["big"],
    "numaNodes": [{"id": 0, "memory": "8Gi", "cpus": "0-11"}],
}


def test_a_cluster_has_the_nodes_that_its_machines_are_described_for(files):
    (files / "machines.yaml").write_text(yaml.safe_dump(MACHINE))
    large = pod("large", cpu="10")
    (files / "large.yaml").write_text(yaml.safe_dump(large))
    assert plan(files, "-f", files / "large.yaml").exit_code == 1
    both = plan(files, "-f", files / "large.yaml", "--cluster", files / "machines.yaml")
    assert (both.exit_code, both.stderr) == (0, "")
    assert "big" in both.stdout


def test_a_machine_is_nothing_that_manifests_bring_into_a_cluster(files):
    file = files / "machines.yaml"
    file.write_text(yaml.safe_dump(MACHINE))
    result = plan(files, "-f", file)
    assert (result.exit_code, result.stderr) == (
        2,
        f"error: {file}:1: a Machine says what the nodes of a cluster are made of: "
        "it goes to --cluster, with them\n",
    )


def test_a_machine_that_cannot_be_is_told_with_its_file(files):
    file = files / "machines.yaml"
    file.write_text(yaml.safe_dump({**MACHINE, "numaNodes": []}))
    result = plan(files, "-f", files / "deploy", "--cluster", file)
    assert result.exit_code == 2
    assert result.stderr == (
        f'error: {file}:1: machine "two-sockets": numaNodes: a machine has at least one NUMA node\n'
    )


def test_what_is_warned_of_is_told_also_when_something_else_is_refused(files):
    labels = {"pod-security.kubernetes.io/warn": "restricted"}
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "strict", "labels": labels},
    }
    fine, bad = pod("fine"), pod("bad", colour="red")
    for each in (fine, bad):
        each["metadata"]["namespace"] = "strict"
    file = files / "strict.yaml"
    file.write_text(yaml.safe_dump_all([namespace, fine, bad]))
    result = plan(files, "-f", file)
    warned, refused = result.stderr.splitlines()
    assert warned.startswith(f"{file}:8: Warning: would violate PodSecurity")
    assert refused.endswith('Pod "strict/bad": spec.colour: unknown field')


def test_manifests_come_from_patterns_and_from_standard_input(files):
    assert plan(files, f"{files}/deploy/*.y*ml").stdout.startswith("4 pods placed")
    text = yaml.safe_dump_all(
        [deployment("web", 2), {"apiVersion": "v1", "kind": "List", "items": []}]
    )
    assert plan(files, "-f", "-", stdin=text).stdout.startswith("2 pods placed")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param([], "nothing to plan: give manifests with -f", id="nothing"),
        pytest.param(["-f", "no.yaml"], "cannot read no.yaml: No such file", id="no file"),
        pytest.param(["-f", "no/*.yaml"], "no/*.yaml: no file matches", id="pattern"),
        pytest.param(["--scale", "web"], "--scale web: must be NAME=N", id="scale"),
        pytest.param(["--add-nodes", "x"], "--add-nodes x: must be N or N:NODE", id="nodes"),
        pytest.param(["--drain", "n9"], 'no node is called "n9"', id="drain"),
        pytest.param(["--assert", "well"], 'cannot understand the assertion "well"', id="assert"),
        pytest.param(
            ["--drain", "n1", "--compare-config", "c.yaml", "-o", "html"],
            "--compare-config: can be shown as text, json, not as html",
            id="comparison",
        ),
    ],
)
def test_what_cannot_be_understood_is_one_line_and_exit_code_2(files, arguments, says):
    result = plan(files, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {says}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"\x90\xff\x00" * 99, "not UTF-8 text, from byte 0 on", id="binary"),
        pytest.param(b"a: " + b"[" * 99_999, "exceeded maximum nesting depth", id="deep"),
        pytest.param(b"&a [*a]", "anchor 'a' value contains itself", id="endless"),
        pytest.param(b"x" * (33 * 1024**2), "more than 32 MiB are no manifest", id="huge"),
        pytest.param(b"apiVersion: v1\nkind: Pod\nmetadata: []\n", "cannot unmarshal", id="shape"),
        pytest.param(b"- a\n", "an object must be a mapping", id="list"),
        pytest.param(b"kind: Pod\n", "apiVersion not set", id="no version"),
    ],
)
def test_a_hostile_manifest_is_answered_in_one_line_with_its_file(files, content, says):
    path = files / "bad.yaml"
    path.write_bytes(content)
    result = plan(files, "-f", path)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {path}")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_more_pods_than_any_cluster_has_are_refused_at_once(files):
    path = files / "many.yaml"
    path.write_text(yaml.safe_dump(deployment("web", 2_000_000_000)))
    result = plan(files, "-f", path)
    assert f"{path}:6: " in result.stderr
    assert "a plan takes 150000 pods at most" in result.stderr


def test_two_configurations_are_compared(files):
    options = ("-f", files / "deploy/web.yaml", "--compare-config", files / "packed.yaml")
    document = json.loads(plan(files, *options, "-o", "json").stdout)
    assert document["nodesUsed"] == [3, 1]
    assert plan(files, *options[:2], "--config", options[3]).stdout.count("n1 x3") == 1
