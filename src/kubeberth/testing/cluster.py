"""BerthCluster: a Kubernetes cluster in this process, as tests hold it in their hands."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from kubeberth.api.scheme import NAMESPACES, SERVICE_ACCOUNTS
from kubeberth.client.client import Document
from kubeberth.cluster.kubeconfigs import embedded_user, kubeconfig
from kubeberth.errors import AlreadyExistsError, UsageError
from kubeberth.private_file import write_private
from kubeberth.testing.server import Server

_POLL_S = 0.02


class BerthCluster:
    """A cluster, seen from one namespace.

    Parameters
    ----------
    folder
        For the kubeconfig.
    is_shared
        Whether other tests use the same API server, so that nothing may be started beside it.

    Attributes
    ----------
    namespace
        Where things go that name no namespace; pods can be made there.
    kubeconfig
        File that clients find the cluster by, with the rights of an administrator.
    """

    def __init__(
        self, server: Server, folder: Path, namespace: str = "default", *, is_shared: bool = False
    ) -> None:
        self._server = server
        self._is_shared = is_shared
        self._closing = ExitStack()
        self._n_nodes = 0
        self.namespace = namespace
        self.kubeconfig = folder / f"{namespace}.kubeconfig"
        user = embedded_user(server.admin)
        text = kubeconfig(server.url, server.ca_file, user, namespace)
        write_private(self.kubeconfig, text.encode())
        server.loop.call(self._prepare())

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._server.url

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a program that is to find the cluster."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def add_nodes(
        self,
        nodes: int | Iterable[Mapping[str, Any]] = 1,
        *,
        zones: int = 1,
        capacity: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Start simulated nodes, and return their names once they are registered.

        They are ready, and given pods, when the controllers have taken their first taint away.

        Parameters
        ----------
        nodes
            How many alike ones, or Node manifests.
        zones
            How many zones they are dealt out to.
        capacity
            What each has: a resource list such as `{"cpu": "8", "memory": "32Gi"}`.

        Raises
        ------
        UsageError
            A manifest is no node, or the cluster is shared with other tests.
        """
        # What only some tests need is not imported for all.
        from kubeberth.kubelet.specs import node_specs, specs_from_manifests

        self._check_is_own("nodes")
        if isinstance(nodes, int):
            every = node_specs(self._n_nodes + nodes, zones, capacity=capacity)
            specs = every[self._n_nodes :]
        else:
            specs = specs_from_manifests(nodes)
        self._n_nodes += len(specs)
        self._server.start_nodes(specs)
        return [spec.name for spec in specs]

    def start_scheduler(self) -> None:
        """Have pods placed."""
        self._check_is_own("a scheduler")
        self._server.start_scheduler()

    def start_controllers(self) -> None:
        """Have Deployments, Jobs and the like looked after."""
        self._check_is_own("controllers")
        self._server.start_controllers()

    def kubernetes(self) -> Any:
        """Return an `ApiClient` of the official `kubernetes` package."""
        from kubernetes import config

        api = config.new_client_from_config(str(self.kubeconfig))  # type: ignore[no-untyped-call]
        return self._closing.enter_context(api)

    def lightkube(self) -> Any:
        """Return a `Client` of `lightkube`."""
        from lightkube import Client, KubeConfig

        settings = KubeConfig.from_file(str(self.kubeconfig))
        return self._closing.enter_context(Client(settings, namespace=self.namespace))

    def kr8s(self) -> Any:
        """Return an `Api` of `kr8s`."""
        import kr8s

        return kr8s.api(kubeconfig=str(self.kubeconfig), namespace=self.namespace)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Return what kubectl prints.

        Raises
        ------
        subprocess.CalledProcessError
            It failed; what it complained of is in `stderr`, and in the test's output.
        """
        command = ("kubectl", *arguments)
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, env=self.environ, check=False
        )
        if done.returncode:
            print(done.stderr, end="")
        done.check_returncode()
        return done.stdout

    def wait_until(self, is_so: Callable[[], Any], timeout_s: float = 10.0) -> Any:
        """Return what a function returns as soon as that is true.

        Raises
        ------
        TimeoutError
            It was not in time.
        """
        end = time.monotonic() + timeout_s
        while not (found := is_so()):
            if time.monotonic() > end:
                raise TimeoutError(f"still not so after {timeout_s:g} s")
            time.sleep(_POLL_S)
        return found

    def close(self) -> None:
        """Close the clients that were made here; an API server that is not shared ends, too."""
        self._closing.close()
        if not self._is_shared:
            self._server.close()

    async def _prepare(self) -> None:
        """Make the namespace, and the service account without which it takes no pods."""
        async with self._server.client() as client:
            await _ensure(client.create(NAMESPACES, {"metadata": {"name": self.namespace}}))
            account: Document = {"metadata": {"name": "default"}}
            await _ensure(client.create(SERVICE_ACCOUNTS, account, self.namespace))

    def _check_is_own(self, what: str) -> None:
        if self._is_shared:
            raise UsageError(
                f"{what} would be there for other tests, too: give the test a cluster of its own "
                "with @pytest.mark.berth"
            )


@contextmanager
def start_cluster(
    nodes: int = 0,
    *,
    zones: int = 1,
    scheduler: bool | None = None,
    controllers: bool | None = None,
    folder: Path | None = None,
) -> Iterator[BerthCluster]:
    """Give a new cluster, which ends with the block.

    Parameters
    ----------
    nodes
        How many nodes it has.
    scheduler, controllers
        Whether these run; they do where there are nodes, unless told otherwise.
    folder
        For certificates and kubeconfig; a temporary one if none is given.
    """
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="berth-")))
        cluster = BerthCluster(Server(folder / "pki"), folder)
        stack.callback(cluster.close)
        if bool(nodes) if controllers is None else controllers:
            cluster.start_controllers()
        if bool(nodes) if scheduler is None else scheduler:
            cluster.start_scheduler()
        if nodes:
            cluster.add_nodes(nodes, zones=zones)
        yield cluster


async def _ensure(creating: Any) -> None:
    try:
        await creating
    except AlreadyExistsError:
        return  # that is all that is wanted
