"""One running cluster for all client libraries, and a namespace for each test."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.conftest import Berth
from tests.e2e.test_lifecycle import wait_for

# Some libraries leave their connections to the garbage collector, which is not ours to mend.
LEFT_OPEN = (
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)

_numbers = itertools.count(1)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the libraries leave connections open."""
    for allowed in LEFT_OPEN:
        item.add_marker(pytest.mark.filterwarnings(allowed))


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect what a test left, so that no other test is blamed for it."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Berth]:
    """A running cluster of two nodes."""
    made = Berth(tmp_path_factory.mktemp("clients") / "cluster")
    made.up("--nodes", "2")
    yield made
    made.run("down")


@pytest.fixture
def kubeconfig(cluster: Berth) -> str:
    """Where the libraries find the cluster."""
    return str(cluster.data / "kubeconfig")


@pytest.fixture
def namespace(cluster: Berth) -> str:
    """A namespace of the test's own, in which pods can be made."""
    name = f"test-{next(_numbers)}"
    waiting = f"kubectl wait --for=create serviceaccount/default -n {name} --timeout=20s"
    for command in (f"kubectl create namespace {name}", waiting):
        done = cluster.kubectl().run(command)
        assert done.returncode == 0, done.stderr
    return name


@pytest.fixture
def restart(cluster: Berth) -> Callable[[], None]:
    """Kill the API server, and wait until its successor answers."""

    def restart() -> None:
        cluster.kill("apiserver")
        kubectl = cluster.kubectl()
        wait_for(lambda: kubectl.run("kubectl get --raw /readyz").returncode == 0)

    return restart
