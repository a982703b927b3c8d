"""The pytest plugin: the fixture `berth_cluster`.

Part of every start of pytest where kubeberth is installed: what takes time is imported when a test
asks for a cluster.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest

MARKER = "berth"
_OPTIONS = ("nodes", "zones", "scheduler", "controllers")
# A namespace's name has 63 letters at most, with a number behind this.
_NAME_LENGTH = 50


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker."""
    config.addinivalue_line(
        "markers",
        "berth(nodes=0, zones=1, scheduler=None, controllers=None): give the test a cluster of its "
        "own in berth_cluster, with so many nodes; with nodes also a scheduler and controllers.",
    )


@pytest.fixture(scope="session")
def _berth_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give the API server that tests share which need none of their own."""
    server = import_module("kubeberth.testing.server").Server(tmp_path_factory.mktemp("berth-pki"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def _berth_numbers() -> Iterator[int]:
    """Give numbers for namespaces."""
    return itertools.count(1)


@pytest.fixture
def berth_cluster(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Give a cluster with a namespace of the test's own: a `kubeberth.testing.BerthCluster`."""
    marker = request.node.get_closest_marker(MARKER)
    give = _shared(request) if marker is None else _own(request, marker)
    with give as cluster:
        yield cluster


@pytest.fixture
def berth_kubeconfig(berth_cluster: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the cluster's kubeconfig, and have every client of the test find it: in KUBECONFIG."""
    path = str(berth_cluster.kubeconfig)
    monkeypatch.setenv("KUBECONFIG", path)
    official = sys.modules.get("kubernetes.config.kube_config")
    if official is not None:
        # It looked at the environment when it was imported.
        monkeypatch.setattr(official, "KUBE_CONFIG_DEFAULT_LOCATION", path)
    return path


@contextmanager
def _shared(request: pytest.FixtureRequest) -> Iterator[Any]:
    server = request.getfixturevalue("_berth_server")
    number = next(request.getfixturevalue("_berth_numbers"))
    folder = request.getfixturevalue("tmp_path_factory").getbasetemp() / "berth-kubeconfigs"
    folder.mkdir(exist_ok=True)
    namespace = f"{_namespace_name(request.node.name)}-{number}"
    cluster_class = import_module("kubeberth.testing.cluster").BerthCluster
    cluster = cluster_class(server, folder, namespace, is_shared=True)
    try:
        yield cluster
    finally:
        cluster.close()


@contextmanager
def _own(request: pytest.FixtureRequest, marker: pytest.Mark) -> Iterator[Any]:
    unknown = [name for name in marker.kwargs if name not in _OPTIONS]
    if marker.args or unknown:
        known = ", ".join(f"{name}=" for name in _OPTIONS)
        raise pytest.UsageError(f"@pytest.mark.{MARKER} takes {known} and nothing else")
    folder = request.getfixturevalue("tmp_path_factory").mktemp("berth-cluster")
    start = import_module("kubeberth.testing.cluster").start_cluster
    with start(**marker.kwargs, folder=folder) as cluster:
        yield cluster


def _namespace_name(test: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", test.lower()).strip("-")
    return words[:_NAME_LENGTH].strip("-") or "test"
