"""Where nodes keep who has which of their CPUs, memory and devices: a file for each node."""

from __future__ import annotations

import os
from pathlib import Path

from kubeberth.topology.checkpoint import from_json
from kubeberth.topology.kept_state import KeptState


class Checkpoints:
    """A folder of checkpoints."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, node: str) -> Path:
        """Return a node's file."""
        return self._folder / f"{node}.json"

    def load(self, node: str) -> KeptState | None:
        """Return what a node kept; None if it kept nothing.

        Raises
        ------
        CheckpointError
            The file is damaged.
        OSError
            It cannot be read.
        """
        try:
            text = self.path(node).read_bytes()
        except FileNotFoundError:
            return None
        return from_json(text)

    def save(self, node: str, text: bytes) -> None:
        """Keep a document; when this returns, it outlives the machine's power.

        It appears whole or not at all.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.path(node)
        partial = path.with_name(f".{path.name}.partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def set_aside(self, node: str) -> Path:
        """Move a damaged file out of the way; return where to."""
        path = self.path(node)
        return path.replace(path.with_suffix(".damaged"))
