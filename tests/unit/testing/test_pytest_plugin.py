"""The fixture `berth_cluster`, in test files of others."""

from __future__ import annotations

import os
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
PLUGIN = "kubeberth.testing.pytest_plugin"
HEAD = "import kubernetes.client, pytest\n"


@pytest.fixture
def run(pytester, monkeypatch):
    """Run a test file in a process of its own, as users do."""
    # What the tests of this package are told is not what others tell theirs.
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src")]))
    is_installed = any(entry.name == PLUGIN for entry in entry_points(group="pytest11"))
    told = [] if is_installed else ["-p", PLUGIN]

    def run(source, *options):
        pytester.makepyfile(HEAD + source)
        return pytester.runpytest_subprocess(*told, "-p", "no:schemathesis", *options)

    return run


def test_the_plugin_is_known_to_pytest_where_the_package_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}


def test_tests_share_an_api_server_and_have_namespaces_of_their_own(run):
    done = run("""
seen = []

def secrets(cluster):
    return kubernetes.client.CoreV1Api(cluster.kubernetes())

@pytest.mark.parametrize("word", ["one", "two"])
def test_a_secret_is_kept(berth_cluster, word):
    api = secrets(berth_cluster)
    assert api.list_namespaced_secret(berth_cluster.namespace).items == []
    api.create_namespaced_secret(berth_cluster.namespace, {"metadata": {"name": "token"}})
    seen.append((berth_cluster.server, berth_cluster.namespace))

def test_they_were_told_apart():
    (server, first), (other_server, second) = seen
    assert server == other_server
    assert first != second
    assert first.startswith("test-a-secret-is-kept-one-")
""")
    done.assert_outcomes(passed=3)


def test_a_marked_test_has_a_cluster_of_its_own_in_which_nothing_is_left_of_others(run):
    done = run("""
@pytest.mark.berth
@pytest.mark.parametrize("number", [1, 2])
def test_namespaces(berth_cluster, number):
    api = kubernetes.client.CoreV1Api(berth_cluster.kubernetes())
    names = {item.metadata.name for item in api.list_namespace().items}
    assert names == {"default", "kube-node-lease", "kube-public", "kube-system"}
    api.create_namespace({"metadata": {"name": "mine"}})
    assert berth_cluster.namespace == "default"
""")
    done.assert_outcomes(passed=2)


def test_with_nodes_pods_run_and_deployments_are_looked_after(run):
    done = run("""
@pytest.mark.berth(nodes=2, zones=2)
def test_a_deployment_becomes_available(berth_cluster):
    container = {"name": "web", "image": "nginx"}
    labels = {"app": "web"}
    apps = kubernetes.client.AppsV1Api(berth_cluster.kubernetes())
    apps.create_namespaced_deployment("default", {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    })
    def is_available():
        return apps.read_namespaced_deployment("web", "default").status.available_replicas == 2
    berth_cluster.wait_until(is_available, timeout_s=30)

@pytest.mark.berth(scheduler=True, controllers=True)
def test_nodes_come_later(berth_cluster):
    core = kubernetes.client.CoreV1Api(berth_cluster.kubernetes())
    core.create_namespaced_pod("default", {
        "metadata": {"name": "web"},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    })
    assert berth_cluster.add_nodes(1, capacity={"cpu": "2", "pods": "10"}) == ["node-1"]
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "big"}}
    assert berth_cluster.add_nodes([node]) == ["big"]
    def is_running():
        return core.read_namespaced_pod("web", "default").status.phase == "Running"
    berth_cluster.wait_until(is_running, timeout_s=30)
""")
    done.assert_outcomes(passed=2)


def test_programs_find_the_cluster_in_the_environment(run):
    done = run("""
import os
from kubernetes import config

def test_default_clients(berth_kubeconfig, berth_cluster):
    assert os.environ["KUBECONFIG"] == berth_kubeconfig == str(berth_cluster.kubeconfig)
    with config.new_client_from_config() as api:
        found = kubernetes.client.CoreV1Api(api).read_namespace(berth_cluster.namespace)
    assert found.status.phase == "Active"

def test_kubectl(berth_cluster):
    berth_cluster.kubectl("create", "configmap", "settings", "--from-literal=size=1")
    assert berth_cluster.kubectl("get", "configmaps", "-o", "name") == "configmap/settings\\n"
    with pytest.raises(Exception, match="exit status 1"):
        berth_cluster.kubectl("get", "configmap", "nothing")
""")
    done.assert_outcomes(passed=2)


def test_lightkube_and_kr8s_are_given_clients_of_the_namespace(run):
    done = run(
        """
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap

def test_lightkube(berth_cluster):
    api = berth_cluster.lightkube()
    api.create(ConfigMap(metadata=ObjectMeta(name="settings"), data={"size": "1"}))
    assert api.get(ConfigMap, "settings").metadata.namespace == berth_cluster.namespace

def test_kr8s(berth_cluster):
    from kr8s.objects import ConfigMap
    api = berth_cluster.kr8s()
    ConfigMap({"metadata": {"name": "settings"}, "data": {"size": "1"}}, api=api).create()
    [found] = api.get("configmaps")
    assert found.namespace == berth_cluster.namespace
"""
    )
    done.assert_outcomes(passed=2)


def test_kopf_runs_an_operator_in_the_namespace(run, pytester):
    pytester.makepyfile(
        operator_of_mine="""
import kopf

@kopf.on.create("configmaps")
def created(patch, **_):
    patch.metadata.labels["seen"] = "yes"
"""
    )
    done = run("""
import kopf.testing

def test_an_operator_labels_what_is_created(berth_kubeconfig, berth_cluster):
    command = ["run", "--standalone", "-n", berth_cluster.namespace, "operator_of_mine.py"]
    with kopf.testing.KopfRunner(command, timeout=60):
        berth_cluster.kubectl("create", "configmap", "settings")
        def is_seen():
            return berth_cluster.kubectl("get", "configmaps", "-l", "seen=yes", "-o", "name")
        berth_cluster.wait_until(is_seen, timeout_s=40)
""")
    done.assert_outcomes(passed=1)


def test_nothing_is_started_beside_an_api_server_that_is_shared(run):
    done = run("""
def test_nodes(berth_cluster):
    berth_cluster.add_nodes(1)
""")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*nodes would be there for other tests, too*@pytest.mark.berth*"])


def test_a_marker_with_something_unknown_is_told(run):
    done = run("""
@pytest.mark.berth(node=2)
def test_nodes(berth_cluster): pass
""")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*@pytest.mark.berth takes nodes=, zones=, scheduler=, *"])


def test_a_start_of_pytest_loads_nothing_that_takes_long(run, pytester):
    pytester.makeconftest("""
import sys

heavy = ("numpy", "aiohttp", "kubeberth.api", "kubeberth.apiserver", "cryptography")
assert [name for name in heavy if name in sys.modules] == []
""")
    run("def test_nothing(): pass").assert_outcomes(passed=1)
