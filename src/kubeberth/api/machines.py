"""Nodes as they are changed: cordoned, and made after the model of another one."""

from __future__ import annotations

import msgspec

from kubeberth.api.core import Node
from kubeberth.api.node_labels import HOSTNAME

# Taints under it say how one node is doing; they are nothing that a new one inherits.
_CONDITION_TAINTS = "node.kubernetes.io/"
UNSCHEDULABLE_TAINT = f"{_CONDITION_TAINTS}unschedulable"


def cordoned(node: Node, *, is_cordoned: bool = True) -> Node:
    """Return a node that takes no more pods, or does so again."""
    taints = node.spec.taints
    if not is_cordoned:
        taints = tuple(taint for taint in taints if taint.key != UNSCHEDULABLE_TAINT)
    spec = msgspec.structs.replace(node.spec, unschedulable=is_cordoned, taints=taints)
    return msgspec.structs.replace(node, spec=spec)


def made_like(model: Node, name: str) -> Node:
    """Return a fresh node of the same make: no image on it yet, and not cordoned."""
    labels = dict(model.metadata.labels)
    if HOSTNAME in labels:
        labels[HOSTNAME] = name
    meta = msgspec.structs.replace(model.metadata, name=name, labels=labels, uid="")
    taints = tuple(t for t in model.spec.taints if not t.key.startswith(_CONDITION_TAINTS))
    spec = msgspec.structs.replace(
        model.spec, unschedulable=False, taints=taints, pod_cidr="", provider_id=""
    )
    status = msgspec.structs.replace(model.status, images=(), addresses=())
    return Node(metadata=meta, spec=spec, status=status)
