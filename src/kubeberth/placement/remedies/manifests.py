"""What comes into a cluster with an edit, as manifests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from kubeberth.api.core import Node
from kubeberth.api.storage import CSINode, PersistentVolume
from kubeberth.placement.observed import OBSERVED
from kubeberth.placement.remedies.edit import Edit

Document = dict[str, Any]


def manifests_of(edit: Edit) -> Iterator[Document]:
    """Yield what an edit brings in; a claim that is bound to it, its controller sees to."""
    if edit.node_comes is not None:
        yield _manifest(edit.node_comes)
    for item in edit.volumes_come:
        if isinstance(item, PersistentVolume):
            yield _volume(item)
        elif isinstance(item, CSINode):
            yield _manifest(item)


def _volume(volume: PersistentVolume) -> Document:
    """Return a volume that is somewhere: the API asks where, placing does not."""
    manifest = _manifest(volume)
    path = f"/var/lib/volumes/{volume.metadata.name}"
    return {**manifest, "spec": {**manifest["spec"], "hostPath": {"path": path}}}


def _manifest(item: Node | PersistentVolume | CSINode) -> Document:
    resource = OBSERVED[type(item)]
    body: Document = msgspec.json.decode(msgspec.json.encode(item))
    if isinstance(item, PersistentVolume):
        del body["status"]
    return {"apiVersion": resource.api_version, "kind": resource.kind, **body}
