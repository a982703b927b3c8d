"""The folder that a cluster lives in: who may use it, and what lies where.

kubeberth.json   says that the folder is ours, and what `berth up` was last told
lock             held by the running `berth up`
running.json     processes of the running cluster, for `berth status`
kubeconfig       for people; run/*.kubeconfig for the processes
pki/             authority, server certificate, one identity per process and node
store/           the API server's
nodes/           who has which CPUs, memory and devices of nodes with a described machine
logs/            one file a process
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from kubeberth.apiserver.admission_selection import AdmissionSettings
from kubeberth.errors import UsageError

FORMAT = 1

T = TypeVar("T")


class Settings(msgspec.Struct, omit_defaults=True):
    """What a cluster was last told, kept so that `berth up` alone brings it back.

    Parameters
    ----------
    nodes
        Node manifests, one for each simulated node; None before the first start.
    scheduler_config
        The scheduler's configuration file; empty for the default.
    server_options
        Of the API server, by name.
    admission
        What the API server's admission was told; None for the default.
    lives
        How pods live, as a file of PodLife and PodStages documents; empty for the default.
    """

    format: int = FORMAT
    port: int = 0
    nodes: list[dict[str, Any]] | None = None
    scheduler_config: str = ""
    server_options: dict[str, str] = {}
    admission: AdmissionSettings | None = None
    lives: str = ""


class ProcessState(msgspec.Struct):
    """One supervised process, as `berth status` shows it."""

    name: str
    pid: int
    restarts: int = 0


class Running(msgspec.Struct):
    """A running cluster, as `berth status` shows it.

    Parameters
    ----------
    scheduler
        URL at which the scheduler can be asked.
    """

    pid: int
    server: str
    started_at: float
    processes: list[ProcessState] = []
    scheduler: str = ""


def default_path() -> Path:
    """Return the folder of a cluster for which none is named."""
    data_home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(data_home) / "kubeberth" / "default"


class DataDir:
    """A cluster's folder.

    Raises
    ------
    UsageError
        It cannot be made or read, or belongs to something else; the text says what to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()

    @property
    def pki(self) -> Path:
        """Folder of certificates and keys."""
        return self.path / "pki"

    @property
    def store(self) -> Path:
        """Folder of the API server's store."""
        return self.path / "store"

    @property
    def nodes(self) -> Path:
        """Folder of what nodes remember."""
        return self.path / "nodes"

    @property
    def kubeconfig(self) -> Path:
        """File that people name in KUBECONFIG."""
        return self.path / "kubeconfig"

    @property
    def nodes_socket(self) -> Path:
        """Socket at which the nodes take commands."""
        return self.run_file("nodes.sock")

    def run_file(self, name: str) -> Path:
        """Return a file that one process hands to another at start."""
        return self.path / "run" / name

    def log_file(self, process: str) -> Path:
        """Return the file that a process logs to."""
        return self.path / "logs" / f"{process}.log"

    def exists(self) -> bool:
        """Return whether a cluster lives here."""
        return self._marker.is_file()

    def prepare(self) -> Settings:
        """Make the folder ready for a cluster and return what it was last told."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            entries = [entry.name for entry in self.path.iterdir()]
            for folder in ("run", "logs", "store"):
                if not entries or self._marker.exists():
                    (self.path / folder).mkdir(mode=0o700, exist_ok=True)
        except FileExistsError:
            raise UsageError(f"{self.path} is a file: name a folder with --data-dir") from None
        except OSError as error:
            raise UsageError(
                f"cannot use data directory {self.path}: {error.strerror}: "
                "name another one with --data-dir"
            ) from None
        if entries and not self._marker.exists():
            raise UsageError(
                f"{self.path} is not empty and no kubeberth data directory "
                "(it has no kubeberth.json): name an empty or new folder with --data-dir"
            )
        settings = self.settings() if entries else Settings()
        self.save(settings)
        return settings

    def settings(self) -> Settings:
        """Return what the cluster was last told."""
        settings = self._read(self._marker, Settings)
        if settings.format > FORMAT:
            raise UsageError(
                f"{self.path} was written by a newer kubeberth (format {settings.format}; this one "
                f"reads {FORMAT}): upgrade kubeberth, or name another folder with --data-dir"
            )
        return settings

    def save(self, settings: Settings) -> None:
        """Remember what the cluster was told."""
        self._write(self._marker, settings)

    def running(self) -> Running | None:
        """Return what runs here, or None."""
        lock = self._open_lock()
        if lock is None:
            return None
        with lock:
            if _try_lock(lock):
                return None
        return self._read(self.path / "running.json", Running)

    def save_running(self, running: Running) -> None:
        """Tell `berth status` what runs here."""
        self._write(self.path / "running.json", running)

    def lock(self) -> IO[str]:
        """Take the folder for this process until the returned file is closed."""
        lock = (self.path / "lock").open("a")
        if not _try_lock(lock):
            lock.close()
            raise UsageError(
                f"a cluster already runs in {self.path}: "
                "see `berth status`, stop it with `berth down`, or name another --data-dir"
            )
        return lock

    def wait_until_free(self) -> None:
        """Return when the process that holds the folder has let go of it."""
        lock = self._open_lock()
        if lock is not None:
            with lock:
                fcntl.flock(lock, fcntl.LOCK_EX)

    @property
    def _marker(self) -> Path:
        return self.path / "kubeberth.json"

    def _open_lock(self) -> IO[str] | None:
        path = self.path / "lock"
        return path.open("a") if path.exists() else None

    def _read(self, path: Path, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from None
        except msgspec.DecodeError as error:
            raise UsageError(
                f"{path} is damaged ({error}): restore it, or name another folder"
            ) from None

    def _write(self, path: Path, content: object) -> None:
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(msgspec.json.encode(content))
        partial.replace(path)


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
