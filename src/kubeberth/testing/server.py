"""A Kubernetes API in this process, and what works on it, all on a thread of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kubeberth.apiserver.server import ServerSettings, listen, serve
from kubeberth.client.client import Client
from kubeberth.client.credentials import Credentials
from kubeberth.clock import SystemClock
from kubeberth.cluster import pki
from kubeberth.kubelet.specs import NodeSpec
from kubeberth.testing.loop_thread import LoopThread

HOST = "127.0.0.1"
STORAGE_CLASS = "standard"

Ready = Callable[[], None]


class Server:
    """An API server on a free port, with TLS, that keeps its objects in memory.

    Scheduler, controllers and nodes are those of `berth up`; they know each other over the API.

    Parameters
    ----------
    folder
        For certificates.
    """

    def __init__(self, folder: Path) -> None:
        self._authority = pki.Authority(folder, SystemClock().now())
        identity = self._authority.server("apiserver", (HOST, "localhost"))
        listener = listen(HOST, 0)
        self.url = f"https://{HOST}:{listener.getsockname()[1]}"
        settings = ServerSettings(HOST, 0, identity, identity, self.ca_file)
        self.loop = LoopThread("berth-cluster")
        self._nodes: list[str] = []
        self.loop.start(
            lambda ready: serve(settings, clock=SystemClock(), ready=ready, listener=listener)
        )

    @property
    def ca_file(self) -> Path:
        """PEM file of the certificate to trust."""
        return self._authority.cert_file

    @property
    def admin(self) -> Path:
        """PEM file, certificate and key, of somebody who may do everything."""
        return self._authority.client("admin", pki.ADMIN)

    def client(self, name: str = "admin", identity: pki.Identity = pki.ADMIN) -> Client:
        """Return a client of somebody's, to be used on the server's thread."""
        pem = self._authority.client(name, identity).read_bytes()
        credentials = Credentials(self.url, ca=self.ca_file.read_bytes(), cert=pem, key=pem)
        return Client(credentials, user_agent=name)

    def start_scheduler(self) -> None:
        """Start a scheduler, and return when it knows the cluster."""
        from kubeberth.api.scheduler_config import KubeSchedulerConfiguration
        from kubeberth.extensions import own_plugins
        from kubeberth.scheduler.config import to_settings
        from kubeberth.scheduler.scheduler import run

        settings = to_settings(KubeSchedulerConfiguration(), own_plugins(), seed=0)

        async def main(ready: Ready) -> None:
            async with self.client("kube-scheduler", pki.SCHEDULER) as client:
                await run(client, settings, ready=ready)

        self.loop.start(main)

    def start_controllers(self) -> None:
        """Start the controllers, and return when they know the cluster."""
        from kubeberth.controllers.supervisor import ControllerSettings, run

        root_ca = self.ca_file.read_text()
        settings = ControllerSettings(root_ca=root_ca, default_storage_class=STORAGE_CLASS)

        async def main(ready: Ready) -> None:
            async with self.client("kube-controller-manager") as client:
                await run(client, settings, ready=ready)

        self.loop.start(main)

    def start_nodes(self, specs: Sequence[NodeSpec]) -> None:
        """Start kubelets, and return when their nodes are registered."""
        from kubeberth.kubelet.nodes import run

        def client_of(node: str) -> Client:
            return self.client(f"nodes/{node}", pki.node_identity(node))

        self.loop.start(lambda ready: run(specs, client_of, ready=ready))

    def close(self) -> None:
        """End everything."""
        self.loop.close()
