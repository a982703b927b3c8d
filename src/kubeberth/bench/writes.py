"""The writes that are measured: those of a pod's life, and what else is written all the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from kubeberth.bench.pods import padded_pod, pod, small_pod

Document = dict[str, Any]

_JSON = "application/json"
_STRATEGIC_PATCH = "application/strategic-merge-patch+json"
_STARTED = "2026-01-01T00:00:00Z"
_RENEWED = "2026-01-01T00:00:10.000000Z"
_NODE = "bench-node"


class Request(NamedTuple):
    """A request that writes."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = _JSON


class Place(NamedTuple):
    """Where objects are made, and the uid of an object there to which they may belong."""

    namespace: str
    owner_uid: str


def _json(method: str, path: str, document: Document) -> Request:
    return Request(method, path, msgspec.json.encode(document))


def _deployment(name: str, place: Place) -> bytes:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod(name)["spec"]}
    spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    # Where there are controllers, they are not to make anything of it.
    spec["paused"] = True
    return msgspec.json.encode({"metadata": {"name": name}, "spec": spec})


def _lease(name: str, place: Place) -> bytes:
    spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": _RENEWED}
    return msgspec.json.encode({"metadata": {"name": name}, "spec": spec})


def _event(name: str, place: Place) -> bytes:
    """Return an event as the scheduler tells of a pod that has a node."""
    about = {"namespace": place.namespace, "name": name, "uid": place.owner_uid}
    document = {
        "metadata": {"name": name},
        "eventTime": _RENEWED,
        "reportingController": "default-scheduler",
        "reportingInstance": "default-scheduler",
        "action": "Binding",
        "reason": "Scheduled",
        "regarding": {"apiVersion": "v1", "kind": "Pod", **about},
        "note": f"Successfully assigned {place.namespace}/{name} to {_NODE}",
        "type": "Normal",
    }
    return msgspec.json.encode(document)


# Return the body of a new object, from its name.
MAKERS: dict[str, Callable[[str, Place], bytes]] = {
    "Deployment": _deployment,
    "Event": _event,
    "Lease": _lease,
    "Pod": lambda name, place: small_pod(name, place.owner_uid),
    "padded Pod": lambda name, place: padded_pod(name, place.owner_uid),
}


def _unversioned(item: Document) -> Document:
    """Return metadata that replace whatever is there: in a running cluster others write, too."""
    return {name: part for name, part in item["metadata"].items() if name != "resourceVersion"}


def _updated(path: str, item: Document) -> Request:
    """Give a pod another label."""
    metadata = {**_unversioned(item), "labels": {**item["metadata"]["labels"], "round": "2"}}
    return _json("PUT", path, {**item, "metadata": metadata})


def _bound(path: str, item: Document) -> Request:
    target = {"apiVersion": "v1", "kind": "Node", "name": _NODE}
    binding = {"metadata": {"name": item["metadata"]["name"]}, "target": target}
    return _json("POST", f"{path}/binding", binding)


def _started(path: str, item: Document) -> Request:
    """Say of a pod that it runs, as its kubelet does."""
    names = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    conditions = [
        {"type": name, "status": "True", "lastTransitionTime": _STARTED, "observedGeneration": 1}
        for name in names
    ]
    container = item["spec"]["containers"][0]
    of_container = {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"registry.k8s.io/pause@sha256:{'0f' * 32}",
        "containerID": f"containerd://{'1e' * 32}",
        "restartCount": 0,
        "ready": True,
        "started": True,
        "state": {"running": {"startedAt": _STARTED}},
        "lastState": {},
        "allocatedResources": container["resources"]["requests"],
        "resources": container["resources"],
    }
    status = {
        "phase": "Running",
        "observedGeneration": 1,
        "startTime": _STARTED,
        "hostIP": "10.0.0.1",
        "hostIPs": [{"ip": "10.0.0.1"}],
        "podIP": "10.244.0.1",
        "podIPs": [{"ip": "10.244.0.1"}],
        "conditions": conditions,
        "containerStatuses": [of_container],
    }
    patch = {"metadata": {"uid": item["metadata"]["uid"]}, "status": status}
    body = msgspec.json.encode(patch)
    return Request("PATCH", f"{path}/status", body, _STRATEGIC_PATCH)


def _deleted(path: str, item: Document) -> Request:
    return Request("DELETE", path)


def _removed(path: str, item: Document) -> Request:
    """Take away what is deleted, as its kubelet does when nothing of it runs any more."""
    preconditions = {"uid": item["metadata"]["uid"]}
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
    return _json("DELETE", path, {**options, "preconditions": preconditions})


def _counted(path: str, item: Document) -> Request:
    """Tell a Deployment's status, as its controller does."""
    condition = {
        "type": "Available",
        "status": "False",
        "lastUpdateTime": _STARTED,
        "lastTransitionTime": _STARTED,
        "reason": "MinimumReplicasUnavailable",
        "message": "Deployment does not have minimum availability.",
    }
    status = {
        "observedGeneration": 1,
        "replicas": 3,
        "updatedReplicas": 3,
        "unavailableReplicas": 3,
        "conditions": [condition],
    }
    metadata = _unversioned(item)
    return _json("PUT", f"{path}/status", {**item, "metadata": metadata, "status": status})


def _renewed(path: str, item: Document) -> Request:
    metadata = {name: part for name, part in item["metadata"].items() if name != "managedFields"}
    spec = {**item["spec"], "renewTime": "2026-01-01T00:00:20.000000Z"}
    return _json("PUT", path, {**item, "metadata": metadata, "spec": spec})


# Return the request that changes an object, from its path and its state.
CHANGES: dict[str, Callable[[str, Document], Request]] = {
    "update": _updated,
    "bind": _bound,
    "patch status": _started,
    "delete": _deleted,
    "remove": _removed,
    "update status": _counted,
    "renew": _renewed,
}
