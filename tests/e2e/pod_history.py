"""All that happened to some pods, as kubectl's watch tells it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from assigning_pods.walkthrough import Kubectl

Pods = dict[str, dict[str, Any]]


class PodHistory:
    """The pods of one selector at every moment, by UID; complete when `following` has ended."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def moments(self) -> Iterator[Pods]:
        """Yield the pods there were after each event."""
        pods: Pods = {}
        for event in _documents(self._path.read_text()):
            uid = event["object"]["metadata"]["uid"]
            if event["type"] == "DELETED":
                pods.pop(uid, None)
            else:
                pods[uid] = event["object"]
            yield dict(pods)


def _documents(text: str) -> Iterator[dict[str, Any]]:
    decoder, position = json.JSONDecoder(), 0
    while text[position:].strip():
        position += len(text[position:]) - len(text[position:].lstrip())
        document, position = decoder.raw_decode(text, position)
        yield document


@contextmanager
def following(kubectl: Kubectl, selector: str, folder: Path) -> Iterator[PodHistory]:
    """Note what happens to the pods of a selector until the block ends."""
    path = folder / f"{selector.replace('=', '-')}.json"
    command = [kubectl.program, "get", "pods", "-l", selector, "--watch", "-o", "json"]
    command += ["--output-watch-events", "--kubeconfig", str(kubectl.kubeconfig)]
    with path.open("w") as stream, subprocess.Popen(command, stdout=stream) as watch:
        try:
            yield PodHistory(path)
        finally:
            watch.terminate()


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def is_going(pod: dict[str, Any]) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def node_of(pod: dict[str, Any]) -> str:
    """Return the node where a daemon is or is to be."""
    required = pod["spec"]["affinity"]["nodeAffinity"]
    [term] = required["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    name: str = term["matchFields"][0]["values"][0]
    return name
