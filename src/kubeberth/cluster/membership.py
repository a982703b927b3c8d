"""Which nodes a cluster has: written down before they come, and struck out before they go.

What is written down is what the next `berth up`, or a nodes process that was killed, starts.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from kubeberth.api.node_labels import closed_to_kubelet
from kubeberth.clock import Clock
from kubeberth.cluster.datadir import DataDir
from kubeberth.errors import UsageError
from kubeberth.private_file import write_private

Document = dict[str, Any]
NODES_FILE = "nodes.json"


class Membership:
    """The nodes of the cluster in a data directory."""

    def __init__(self, datadir: DataDir, clock: Clock) -> None:
        self._datadir = datadir
        self._clock = clock

    def manifests(self) -> list[Document]:
        """Return the Node manifests as written down."""
        return list(self._datadir.settings().nodes or [])

    def add(self, new: Iterable[Document]) -> None:
        """Write nodes down, each with a certificate of its own.

        Raises
        ------
        UsageError
            There is one of such a name; then none is written down.
        """
        # Who runs nodes has this module, too, and need not have what makes certificates: 9 MiB.
        from kubeberth.cluster import pki

        with self._alone():
            manifests, new = self.manifests(), list(new)
            known = {_name(manifest) for manifest in manifests}
            for manifest in new:
                if _name(manifest) in known:
                    raise UsageError(f"node {_name(manifest)} is there already")
            authority = pki.Authority(self._datadir.pki, self._clock.now())
            for manifest in new:
                name = _name(manifest)
                authority.client(f"nodes/{name}", pki.node_identity(name))
            self._save([*manifests, *new])

    def remove(self, names: Iterable[str]) -> None:
        """Strike nodes out.

        Raises
        ------
        UsageError
            There is none of such a name; then all stay.
        """
        with self._alone():
            manifests, gone = self.manifests(), set(names)
            known = {_name(manifest) for manifest in manifests}
            for name in sorted(gone - known):
                raise UsageError(f"there is no node {name}")
            self._save([each for each in manifests if _name(each) not in gone])

    def _save(self, manifests: list[Document]) -> None:
        write_nodes_file(self._datadir, manifests)
        settings = self._datadir.settings()
        self._datadir.save(msgspec.structs.replace(settings, nodes=manifests))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until nobody else changes them."""
        with self._datadir.run_file("membership.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def write_nodes_file(datadir: DataDir, manifests: list[Document]) -> None:
    """Lay out the manifests for the nodes process; the file appears whole or not at all."""
    content = {"apiVersion": "v1", "kind": "NodeList", "items": manifests}
    write_private(datadir.run_file(NODES_FILE), msgspec.json.encode(content))


def closed_labels(manifests: Iterable[Document]) -> dict[str, dict[str, str]]:
    """Return, by node, what nodes are to be labelled with that they may not say of themselves."""
    labels = {}
    for manifest in manifests:
        wanted = manifest["metadata"].get("labels") or {}
        if closed := closed_to_kubelet(wanted):
            labels[_name(manifest)] = {key: wanted[key] for key in closed}
    return labels


async def tend(
    kubeconfig: Path, labels: Mapping[str, dict[str, str]], dismissed: Iterable[str]
) -> None:
    """Do what no kubelet may: label nodes, and delete those that are here no longer."""
    # Imported here because a plain start has no use for it and should not wait for it.
    from kubeberth.api.scheme import NODES
    from kubeberth.client.client import Client
    from kubeberth.errors import NotFoundError

    async with Client.from_kubeconfig(kubeconfig) as client:
        for name, wanted in labels.items():
            await client.patch(NODES, name, {"metadata": {"labels": wanted}})
        for name in dismissed:
            try:
                await client.delete(NODES, name)
            except NotFoundError:
                continue


def _name(manifest: Document) -> str:
    name: str = manifest["metadata"]["name"]
    return name
