"""Claims, volumes and the like as the plain evaluator is given them."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubeberth.api.storage import (
    CSINode,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    StorageObject,
)

SELECTED = "volume.kubernetes.io/selected-node"


@dataclass
class Promises:
    """What one placed pod has been promised: volumes by claim, and the node of each new volume."""

    volumes: list[tuple[str, str]] = field(default_factory=list)
    nodes: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class StoredObjects:
    """Objects by kind and key, and what placed pods have been promised."""

    items: dict[tuple[type[StorageObject], str], StorageObject] = field(default_factory=dict)
    promises: dict[str, Promises] = field(default_factory=dict)

    def put(self, item: StorageObject) -> None:
        self.items[type(item), item.metadata.key] = item
        name = item.metadata.key
        for promises in self.promises.values():
            if isinstance(item, PersistentVolume) and item.spec.claim_ref:
                promises.volumes = [entry for entry in promises.volumes if entry[1] != name]
            if isinstance(item, PersistentVolumeClaim) and (
                item.spec.volume_name or SELECTED in item.metadata.annotations
            ):
                promises.nodes = [entry for entry in promises.nodes if entry[0] != name]

    def remove(self, kind: type[StorageObject], key: str) -> None:
        self.items.pop((kind, key), None)

    def of(self, kind: type[StorageObject]) -> list[StorageObject]:
        found = [(key, item) for (k, key), item in self.items.items() if k is kind]
        return [item for _, item in sorted(found, key=lambda entry: entry[0])]

    def claim(self, key: str) -> PersistentVolumeClaim | None:
        return self.items.get((PersistentVolumeClaim, key))  # type: ignore[return-value]

    def volume(self, name: str) -> PersistentVolume | None:
        return self.items.get((PersistentVolume, name))  # type: ignore[return-value]

    def storage_class(self, name: str | None) -> StorageClass | None:
        return self.items.get((StorageClass, name or ""))  # type: ignore[return-value]

    def csi_node(self, name: str) -> CSINode | None:
        return self.items.get((CSINode, name))  # type: ignore[return-value]

    def owner_of(self, volume: PersistentVolume) -> tuple[str, str] | None:
        """Key and uid of the claim that a volume belongs to, be it by promise."""
        reference = volume.spec.claim_ref
        if reference:
            return f"{reference.namespace}/{reference.name}", reference.uid
        for promises in self.promises.values():
            for claim, name in promises.volumes:
                if name == volume.metadata.name:
                    return claim, ""
        return None

    def selected_node(self, claim: PersistentVolumeClaim) -> str | None:
        for promises in self.promises.values():
            for key, node in promises.nodes:
                if key == claim.metadata.key:
                    return node
        return claim.metadata.annotations.get(SELECTED)
