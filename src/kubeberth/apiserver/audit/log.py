"""The file that audit events go to: a line of JSON each, written in batches by a thread."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import msgspec

from kubeberth.apiserver.audit.event import Record, event_of
from kubeberth.clock import Clock
from kubeberth.errors import UsageError

logger = logging.getLogger(__name__)

# So long events gather before they are written together.
GATHER_S = 0.02
# Beyond this, requests wait until some are written: nothing is left out.
MAX_WAITING = 10_000
MEBIBYTE = 1024 * 1024
STANDARD_OUTPUT = "-"

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where audit events go, and how long they stay.

    Parameters
    ----------
    path
        `-` is standard output.
    max_age_days, max_backups
        Of files that are full; 0 keeps them all.
    max_size_mb
        When a file is full; as upstream, 0 means 100.
    """

    path: str
    max_age_days: int = 0
    max_backups: int = 0
    max_size_mb: int = 0


class AuditLog:
    """Writes records down, in the order in which they are given.

    Raises
    ------
    UsageError
        The file cannot be written.
    """

    def __init__(self, settings: LogSettings, clock: Clock) -> None:
        self._file = RotatingFile(settings, clock)
        self._records: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
        self._has_failed = False
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether so many records wait that requests had better do so, too."""
        return self._records.qsize() > MAX_WAITING

    def write(self, record: Record) -> None:
        """Have a record written down soon."""
        self._records.put(record)

    def wait(self) -> None:
        """Return when there is room."""
        while self.is_full and self._thread.is_alive():
            time.sleep(GATHER_S)

    def close(self) -> None:
        """Write what is left."""
        self._records.put(None)
        self._thread.join()
        self._file.close()

    def _work(self) -> None:
        is_open = True
        while is_open:
            batch = [self._records.get()]
            if batch[-1] is not None:
                time.sleep(GATHER_S)
            while not self._records.empty():
                batch.append(self._records.get())
            is_open = batch[-1] is not None
            self._write([line_of(record) for record in batch if record is not None])

    def _write(self, lines: list[bytes]) -> None:
        try:
            self._file.write(lines)
        except OSError as error:
            if not self._has_failed:  # a full disk need not fill the server's own log as well
                logger.error("cannot write the audit log: %s", error.strerror)
            self._has_failed = True
        else:
            self._has_failed = False


def line_of(record: Record) -> bytes:
    """Return a record as a line of the file."""
    try:
        return _encode(event_of(record)) + b"\n"
    except Exception:
        # One request that is written down badly must not be the last one that is.
        logger.exception("cannot tell of a request", extra={"audit_id": record.audit_id})
        return _encode({"auditID": record.audit_id, "stage": record.stage}) + b"\n"


class RotatingFile:
    """A file that is put aside when it is full, under a name with the time: `audit-TIME.log`."""

    def __init__(self, settings: LogSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._path = Path(settings.path)
        self._limit = (settings.max_size_mb or 100) * MEBIBYTE
        self._is_stream = settings.path == STANDARD_OUTPUT
        try:
            self._file = sys.stdout.buffer if self._is_stream else self._open()
        except OSError as error:
            why = f"cannot write the audit log {settings.path}: {error.strerror}"
            raise UsageError(why) from error
        self._size = 0 if self._is_stream else self._path.stat().st_size

    def write(self, lines: list[bytes]) -> None:
        """Append lines, each of them whole in one file."""
        batch: list[bytes] = []
        for line in lines:
            if self._size and self._size + len(line) > self._limit and not self._is_stream:
                self._append(batch)
                batch = []
                self._rotate()
            batch.append(line)
            self._size += len(line)
        self._append(batch)

    def close(self) -> None:
        """Let go of the file."""
        if not self._is_stream:
            self._file.close()

    def _append(self, lines: list[bytes]) -> None:
        self._file.write(b"".join(lines))
        self._file.flush()

    def _open(self) -> BinaryIO:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return open(descriptor, "ab")

    def _rotate(self) -> None:
        self._file.close()
        moment = datetime.fromtimestamp(self._clock.now(), UTC)
        self._path.replace(self._backup(moment))
        self._file = self._open()
        self._size = 0
        for old in self._outdated(moment):
            old.unlink(missing_ok=True)

    def _backup(self, moment: datetime) -> Path:
        stamp = moment.strftime("%Y-%m-%dT%H-%M-%S.%f")[:-3]
        return self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}")

    def _outdated(self, moment: datetime) -> list[Path]:
        """Return the files that need not be kept."""
        pattern = f"{self._path.stem}-????-??-??T??-??-??.???{self._path.suffix}"
        backups = sorted(self._path.parent.glob(pattern), reverse=True)
        n_kept = self._settings.max_backups or len(backups)
        outdated = backups[n_kept:]
        if self._settings.max_age_days:
            oldest = self._backup(moment - timedelta(days=self._settings.max_age_days))
            outdated += [backup for backup in backups[:n_kept] if backup.name < oldest.name]
        return outdated
