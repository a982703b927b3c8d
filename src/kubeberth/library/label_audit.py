"""Which placements of a cluster hang on labels that nodes may set on themselves, and which did.

Objects come as the API shows them, `managedFields` included: these tell who set a label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from kubeberth.api.forgeable import forgeable_uses, protected_key, shown_path
from kubeberth.api.node_labels import is_open_to_kubelet

Document = Mapping[str, Any]

# As kubelets name themselves when they write; a name that anybody may take, so it tells who set a
# label, but proves nothing.
KUBELET = "kubelet"


class Placement(msgspec.Struct, rename="camel", frozen=True):
    """An object whose pods are placed by a label that a node may set on itself.

    Parameters
    ----------
    pods
        How many pods of the object hang on the label now.
    """

    namespace: str
    kind: str
    name: str
    label: str
    field: str
    severity: str
    use_instead: str
    pods: int


class NodeLabel(msgspec.Struct, rename="camel", frozen=True):
    """A label of a node that placements hang on.

    Parameters
    ----------
    managers
        Who has set it, as the fields' owners are named.
    is_self_set
        Whether a kubelet is one of them.
    """

    node: str
    label: str
    value: str
    managers: list[str]
    is_self_set: bool


class LabelAudit(msgspec.Struct, rename="camel", frozen=True):
    """What was found."""

    placements: list[Placement]
    node_labels: list[NodeLabel]


def audit_labels(
    objects: Iterable[Document], nodes: Iterable[Document], *, all_labels: bool = False
) -> LabelAudit:
    """Return the placements that hang on forgeable labels, and who set these on the nodes.

    What a controller has made is counted with it, as long as the label is the controller's too.

    Parameters
    ----------
    objects
        Pods, workloads, and whatever else places pods, with kinds.
    all_labels
        Tell of every label that a node may set on itself, even if no placement hangs on it.
    """
    by_uid = {document["metadata"].get("uid", ""): document for document in objects}
    uses = {uid: _first_uses(document) for uid, document in by_uid.items()}
    pods: Counter[tuple[str, str]] = Counter()
    origins: dict[tuple[str, str], None] = {}
    for uid, document in by_uid.items():
        for label in uses[uid]:
            origin = _origin(uid, label, by_uid, uses)
            origins[origin, label] = None
            pods[origin, label] += document["kind"] == "Pod"
    placements = [
        _placement(by_uid[uid], label, *uses[uid][label], pods[uid, label])
        for uid, label in origins
    ]
    wanted = None if all_labels else {placement.label for placement in placements}
    return LabelAudit(
        sorted(placements, key=lambda p: (p.namespace, p.kind, p.name, p.label)),
        [label for node in sorted(nodes, key=_name) for label in _node_labels(node, wanted)],
    )


def _first_uses(document: Document) -> dict[str, tuple[str, str]]:
    """Return field and severity of each forgeable label, of several uses the worst."""
    found: dict[str, tuple[str, str]] = {}
    for use in sorted(forgeable_uses(document), key=lambda use: not use.is_binding):
        found.setdefault(use.key, (shown_path(use.path), use.severity))
    return found


def _origin(
    uid: str, label: str, by_uid: Mapping[str, Document], uses: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return the object from whose template a placement comes."""
    seen = {uid}
    while True:
        owners = by_uid[uid]["metadata"].get("ownerReferences") or ()
        owner = next((o["uid"] for o in owners if o.get("controller")), "")
        if owner in seen or label not in uses.get(owner, ()):
            return uid
        seen.add(owner)
        uid = owner


def _placement(document: Document, label: str, field: str, severity: str, n_pods: int) -> Placement:
    metadata = document["metadata"]
    return Placement(
        metadata.get("namespace", ""),
        document["kind"],
        metadata["name"],
        label,
        field,
        severity,
        protected_key(label),
        n_pods,
    )


def _node_labels(node: Document, wanted: set[str] | None) -> Iterator[NodeLabel]:
    metadata = node["metadata"]
    for label, value in sorted((metadata.get("labels") or {}).items()):
        if (label in wanted) if wanted is not None else is_open_to_kubelet(label):
            managers = sorted(set(_managers(metadata, label)))
            yield NodeLabel(metadata["name"], label, value, managers, KUBELET in managers)


def _managers(metadata: Document, label: str) -> Iterator[str]:
    for entry in metadata.get("managedFields") or ():
        fields = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
        if f"f:{label}" in (fields.get("f:labels") or {}):
            yield entry.get("manager", "")


def _name(document: Document) -> str:
    name: str = document["metadata"]["name"]
    return name
