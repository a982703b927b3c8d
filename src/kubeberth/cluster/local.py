"""LocalCluster: API server, scheduler, controllers and nodes as processes under one supervisor.

Everything they need is laid into the data directory first; from then on they know each other only
over the API.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from kubeberth.apiserver.admission_selection import (
    DISABLE,
    ENABLE,
    AdmissionSettings,
    restriction_warning,
    to_configuration,
)
from kubeberth.clock import Clock
from kubeberth.cluster import pki
from kubeberth.cluster.datadir import DataDir, ProcessState, Running, Settings
from kubeberth.cluster.kubeconfigs import embedded_user, kubeconfig, linked_user
from kubeberth.cluster.membership import NODES_FILE, closed_labels, tend, write_nodes_file
from kubeberth.cluster.process import Child
from kubeberth.errors import UsageError
from kubeberth.private_file import write_private

HOST = "127.0.0.1"
PROCESSES = {"scheduler": pki.SCHEDULER, "controllers": pki.CONTROLLERS}
# A month before it expires, a certificate is made anew.
RENEW_EVERY_S = 12 * 3600
DEFAULT_PORT = 6443
# As local clusters call theirs.
STORAGE_CLASS = "standard"
# kube-scheduler's.
SCHEDULER_PORT = 10259
SERVER_NAMES = (
    "localhost",
    "127.0.0.1",
    "::1",
    "10.96.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What `berth up` was asked for; None leaves it as it was last time.

    Parameters
    ----------
    nodes
        Node manifests.
    scheduler_config
        The scheduler's configuration file; empty for the default.
    server_options
        Of the API server, by name; an empty one is as if it had never been given.
    admission
        What the API server's admission is told.
    lives
        How pods live, see `kubelet.lives`; empty for the default.
    """

    port: int | None = None
    nodes: list[dict[str, Any]] | None = None
    scheduler_config: str | None = None
    admission: AdmissionSettings | None = None
    server_options: dict[str, str] = field(default_factory=dict)
    lives: str | None = None


class LocalCluster:
    """One cluster in one data directory.

    Parameters
    ----------
    default_nodes
        Makes the node manifests of a new cluster that nobody wished nodes for.
    tell
        Called with one line for people whenever something happens that they should know.

    Raises
    ------
    UsageError
        The data directory or the port cannot be had.
    """

    def __init__(
        self,
        datadir: DataDir,
        wish: Wish,
        *,
        default_nodes: Callable[[], list[dict[str, Any]]],
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        self._datadir = datadir
        self._clock = clock
        self._tell = tell
        before = datadir.prepare()
        self._lock = datadir.lock()
        told = wish.nodes if wish.nodes is not None else before.nodes
        self.nodes = told if told is not None else default_nodes()
        configured = wish.scheduler_config
        options = {**before.server_options, **wish.server_options}
        self.settings = Settings(
            port=_choose_port(wish.port, before.port),
            nodes=self.nodes,
            scheduler_config=before.scheduler_config if configured is None else configured,
            server_options={name: value for name, value in options.items() if value},
            admission=before.admission if wish.admission is None else wish.admission,
            lives=before.lives if wish.lives is None else wish.lives,
        )
        self.dismissed = sorted(_names(before.nodes or []) - _names(self.nodes))
        self._new = _names(self.nodes) - _names(before.nodes or [])
        if warning := restriction_warning(self.settings.admission or AdmissionSettings()):
            tell(f"WARNING: {warning}")
        self._children: list[Child] = []
        # Nobody but `berth why` needs to know it. The usual one goes with the API's usual one, or
        # clusters that are started together would all find it free, and but one of them get it.
        is_usual = self.settings.port == DEFAULT_PORT and _is_free(SCHEDULER_PORT)
        self._scheduler_port = SCHEDULER_PORT if is_usual else _any_port()
        scheduler = f"https://{HOST}:{self._scheduler_port}"
        self._running = Running(os.getpid(), self.server, clock.now(), scheduler=scheduler)
        self._save_running()
        datadir.save(self.settings)
        self._lay_out()
        self._children += self._make_children()

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{HOST}:{self.settings.port}"

    async def run(self, ready: Callable[[], None]) -> None:
        """Run until cancelled; call `ready` once, when every process is."""
        try:
            async with asyncio.TaskGroup() as group:
                for child in self._children:
                    group.create_task(child.run())
                for child in self._children:
                    await child.ready.wait()
                await self._tend_nodes()
                group.create_task(self._renew())
                ready()
        finally:
            self._lock.close()

    def _lay_out(self) -> None:
        """Write certificates, kubeconfigs and node manifests."""
        admin = self._certify()
        self._write_kubeconfig(self._datadir.kubeconfig, embedded_user(admin))
        for name in PROCESSES:
            user = linked_user(self._datadir.pki / f"{name}.pem")
            self._write_kubeconfig(self._datadir.run_file(f"{name}.kubeconfig"), user)
        self._write_kubeconfig(self._datadir.run_file("nodes.kubeconfig"), {})
        write_nodes_file(self._datadir, self.nodes)
        self._datadir.run_file("scheduler.yaml").write_text(self.settings.scheduler_config)
        self._datadir.run_file("lives.yaml").write_text(self.settings.lives)
        admission = self.settings.admission or AdmissionSettings()
        self._datadir.run_file("admission.json").write_bytes(
            msgspec.json.encode(to_configuration(admission))
        )

    def _certify(self) -> Path:
        """Make the certificates that are missing, or expire soon; return the administrator's."""
        authority = pki.Authority(self._datadir.pki, self._clock.now())
        authority.server("apiserver", SERVER_NAMES)
        authority.server("scheduler-server", (HOST, "localhost"), "kube-scheduler")
        for name, identity in PROCESSES.items():
            authority.client(name, identity)
        # Others may have come meanwhile.
        for node in _names(self._datadir.settings().nodes or []):
            authority.client(f"nodes/{node}", pki.node_identity(node))
        return authority.client("admin", pki.ADMIN)

    async def _renew(self) -> None:
        """Make new certificates while everything runs; the processes look at their files."""
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                before = (self._datadir.pki / "admin.pem").read_bytes()
                admin = self._certify()
                # Only then: people keep their own settings in that file, too.
                if admin.read_bytes() != before:
                    self._write_kubeconfig(self._datadir.kubeconfig, embedded_user(admin))
            except (OSError, UsageError) as error:
                self._tell(f"cannot renew certificates: {error}")

    def _write_kubeconfig(self, path: Any, user: dict[str, Any]) -> None:
        text = kubeconfig(self.server, self._datadir.pki / "ca.crt", user)
        write_private(path, text.encode())

    def _make_children(self) -> Iterator[Child]:
        folder, run_file = self._datadir, self._datadir.run_file
        # There is one scheduler, and one set of controllers. Killed, they go on at once, and wait
        # for no lease to run out.
        commands: dict[str, list[object]] = {
            "apiserver": [
                *("--data-dir", folder.store, "--host", HOST, "--port", self.settings.port),
                *("--tls-cert-file", folder.pki / "apiserver.pem"),
                *("--client-ca-file", folder.pki / "ca.crt"),
                *("--service-account-signing-key-file", folder.pki / "service-account.key"),
                "--enable-bootstrap-token-auth",
                *(f"{name}={value}" for name, value in self.settings.server_options.items()),
                *self._admission_options(),
            ],
            "scheduler": [
                *("--kubeconfig", run_file("scheduler.kubeconfig")),
                "--leader-elect=false",
                # Thousands a second can be decided: `berth why` remembers, the log need not.
                "--v=1",
                *("--bind-address", HOST, "--secure-port", self._scheduler_port),
                *("--tls-cert-file", folder.pki / "scheduler-server.pem"),
                *("--client-ca-file", folder.pki / "ca.crt"),
            ],
            "controllers": [
                *("--kubeconfig", run_file("controllers.kubeconfig")),
                *("--root-ca-file", folder.pki / "ca.crt"),
                *("--cluster-signing-cert-file", folder.pki / "ca.crt"),
                *("--cluster-signing-key-file", folder.pki / "ca.key"),
                "--use-service-account-credentials",
                "--leader-elect=false",
                *("--default-storage-class", STORAGE_CLASS),
            ],
        }
        if self.settings.scheduler_config:
            commands["scheduler"] += ["--config", run_file("scheduler.yaml")]
        if self.nodes:
            commands["nodes"] = [
                *("--kubeconfig", run_file("nodes.kubeconfig")),
                *("--identities", folder.pki / "nodes"),
                *("--filename", run_file(NODES_FILE)),
                *("--state", folder.nodes),
                *("--control", folder.nodes_socket),
                *("--lives", run_file("lives.yaml")),
            ]
        for name, arguments in commands.items():
            command = [sys.executable, "-m", "kubeberth", name, *map(str, arguments)]
            yield Child(
                name,
                command,
                folder.log_file(name),
                tell=self._tell,
                changed=self._save_running,
            )

    def _admission_options(self) -> Iterator[object]:
        admission = self.settings.admission
        if admission is None:
            return
        yield from (f"--{ENABLE}={name}" for name in admission.enable)
        yield from (f"--{DISABLE}={name}" for name in admission.disable)
        yield from ("--admission-control-config-file", self._datadir.run_file("admission.json"))
        yield from ("--default-not-ready-toleration-seconds", admission.not_ready_s)
        yield from ("--default-unreachable-toleration-seconds", admission.unreachable_s)

    def _save_running(self) -> None:
        states = [ProcessState(c.name, c.pid, c.restarts) for c in self._children if c.pid]
        self._datadir.save_running(msgspec.structs.replace(self._running, processes=states))

    async def _tend_nodes(self) -> None:
        """Do what no kubelet may: label new nodes, and delete those that are here no longer."""
        new = [node for node in self.nodes if node["metadata"]["name"] in self._new]
        labels = closed_labels(new)
        if self.dismissed or labels:
            await tend(self._datadir.kubeconfig, labels, self.dismissed)


def _names(nodes: list[dict[str, Any]]) -> set[str]:
    return {node["metadata"]["name"] for node in nodes}


def _choose_port(wished: int | None, last: int) -> int:
    """Return a free port: the wished one, else last time's, else the usual one, else any."""
    if wished is not None or last:
        port = wished if wished is not None else last
        if port and not _is_free(port):
            raise UsageError(
                f"port {port} of {HOST} is in use: stop what listens there, "
                "or name another port with --port (0 takes a free one)"
            )
        return port or _any_port()
    return DEFAULT_PORT if _is_free(DEFAULT_PORT) else _any_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server does, or the last run's closing connections would count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
