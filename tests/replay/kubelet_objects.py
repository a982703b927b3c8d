"""Objects of the kubelet's recordings, which hold them as a client sends them."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from kubeberth.api.core import Node
from kubeberth.api.defaults import apply_defaults
from kubeberth.api.qos import qos_class
from kubeberth.api.scheme import PODS
from kubeberth.kubelet.pod import KubeletPod

Document = dict[str, Any]


def defaulted(document: Document) -> Document:
    """Return a pod as the API server stores it, with its name as its UID."""
    pod = copy.deepcopy(document)
    apply_defaults(PODS, pod)
    pod["metadata"] |= {"namespace": "default", "uid": pod["metadata"]["name"]}
    pod["status"] = {"qosClass": qos_class(pod["spec"])}
    return pod


def to_pod(document: Document) -> KubeletPod:
    """Return a pod as the kubelet reads it."""
    return msgspec.convert(defaulted(document), KubeletPod)


def to_node(document: Document | None) -> Node | None:
    """Return a Node as the API server stores it: allocatable is the capacity by default."""
    if document is None:
        return None
    document = copy.deepcopy(document)
    status = document.setdefault("status", {})
    status.setdefault("allocatable", status.get("capacity", {}))
    return msgspec.convert(document, Node)
