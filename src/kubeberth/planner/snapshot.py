"""Snapshot: what of a cluster placing pods depends on, and no more.

Kept of each object are the fields that the engine and the controllers read: the structs of
`kubeberth.api` say which. So there are no secrets, no values of environment variables, no commands
and no arguments in it; and of annotations, messages and parameters only those that are read.

Admission policies are kept as they are, and so are the objects that they have as parameters: they
say what manifests must be like.

An object that was reduced says so in an annotation: manifests that are planned against it are
reduced alike, or everything would look changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from kubeberth.api.core import PodSpec
from kubeberth.api.meta import ApiStruct
from kubeberth.api.scheme import BY_KIND, CONTROLLER_REVISIONS, CRON_JOBS, PODS, Resource
from kubeberth.api.workloads import Object
from kubeberth.planner.kinds import TYPES

Document = dict[str, Any]

REDUCED = "kubeberth.io/reduced"

# Prefixes of the annotations by which components talk to each other.
_TOLD = (
    "batch.kubernetes.io/",
    "controller.kubernetes.io/",
    "deployment.kubernetes.io/",
    "deprecated.daemonset.template.generation",
    "kubeberth.io/",
    "kubernetes.io/config.mirror",
    "pv.kubernetes.io/",
    "storage.alpha.kubernetes.io/",
    "storageclass.beta.kubernetes.io/",
    "storageclass.kubernetes.io/",
    "volume.beta.kubernetes.io/",
    "volume.kubernetes.io/",
)
# Of a status: texts that may hold anything, and addresses.
_UNTOLD = frozenset(
    (
        *("message", "state", "lastState", "containerID", "imageID", "image"),
        *("addresses", "hostIP", "podIP", "podIPs"),
    )
)
_WHOLE = (
    *("globalDefault", "preemptionPolicy", "spec", "value"),
    *("handler", "overhead", "scheduling"),
)
_DONE = frozenset(("args", "command"))
_NODE_FIELDS = ("podCIDR", "providerID")
# The one parameter of a class that is read: where its simulated volumes can be reached from.
_PARAMETERS = frozenset(("topologyKey",))


def kept(document: Mapping[str, Any]) -> Document:
    """Return what a snapshot holds of an object: all of what policies have as parameters."""
    resource = BY_KIND.get((document["apiVersion"], document["kind"]))
    if resource in TYPES:
        return reduced(resource, document)
    meta = document["metadata"]
    named = {field: meta[field] for field in ("name", "namespace", "labels") if field in meta}
    return {**document, "metadata": named}


def reduced(resource: Resource, document: Mapping[str, Any]) -> Document:
    """Return what is read of an object, as JSON."""
    item = msgspec.convert(document, TYPES[resource])
    kept = as_json(item)
    result = {"apiVersion": resource.api_version, "kind": resource.kind, **kept}
    if isinstance(item, Object):  # of which no struct tells more
        result |= {name: document[name] for name in _WHOLE if name in document}
    result["metadata"] = _metadata(result.get("metadata") or {}) | {
        "annotations": {**_annotations(result.get("metadata") or {}), REDUCED: "true"}
    }
    if "status" in result:
        result["status"] = _without_texts(result["status"])
    if "parameters" in result:
        given = result["parameters"]
        result["parameters"] = {k: v for k, v in given.items() if k in _PARAMETERS}
    if resource is CONTROLLER_REVISIONS:
        result["data"] = _with_template(result.get("data") or {})
    elif resource is CRON_JOBS:
        spec = result["spec"]
        job = spec.get("jobTemplate") or {}
        result["spec"] = {**spec, "jobTemplate": _with_template(job)}
    else:
        result = _with_template(result)
    if resource is PODS:
        result["spec"] = _pod_spec(result["spec"])
    if resource.kind == "Node":
        result["spec"] = {k: v for k, v in result.get("spec", {}).items() if k not in _NODE_FIELDS}
    return result


def as_json(item: ApiStruct) -> Document:
    """Return an object as JSON values: lists, where a struct has tuples."""
    document: Document = msgspec.json.decode(msgspec.json.encode(item))
    return document


def is_reduced(document: Mapping[str, Any]) -> bool:
    """Return whether an object comes from a snapshot."""
    return REDUCED in ((document.get("metadata") or {}).get("annotations") or {})


def to_list(documents: Iterable[Document]) -> Document:
    """Return objects as one, as kubectl prints several."""
    return {"apiVersion": "v1", "kind": "List", "items": list(documents)}


def _metadata(meta: Mapping[str, Any]) -> Document:
    return {key: value for key, value in meta.items() if key != "annotations"}


def _annotations(meta: Mapping[str, Any]) -> dict[str, str]:
    given = meta.get("annotations") or {}
    return {key: value for key, value in given.items() if key.startswith(_TOLD)}


def _with_template(parent: Mapping[str, Any]) -> Document:
    """Return an object with its pod template, and its claim templates, reduced; if it has any."""
    spec = parent.get("spec")
    if not isinstance(spec, Mapping) or "template" not in spec:
        return dict(parent)
    changed = {**spec, "template": _template(spec["template"])}
    if "volumeClaimTemplates" in spec:
        changed["volumeClaimTemplates"] = [_bare(claim) for claim in spec["volumeClaimTemplates"]]
    return {**parent, "spec": changed}


def _template(template: Mapping[str, Any]) -> Document:
    kept = msgspec.convert(template.get("spec") or {}, PodSpec)
    return {**_bare(template), "spec": _pod_spec(as_json(kept))}


def _pod_spec(spec: Document) -> Document:
    """Return a pod spec without what its containers do: only simulated kubelets read that."""
    changed: Document = {
        field: [{k: v for k, v in each.items() if k not in _DONE} for each in spec[field]]
        for field in ("containers", "initContainers")
        if field in spec
    }
    if "volumes" in spec:
        changed["volumes"] = [_volume(volume) for volume in spec["volumes"]]
    return spec | changed


def _volume(volume: Mapping[str, Any]) -> Document:
    """Return a volume with its claim template, if it has one, reduced."""
    if "ephemeral" not in volume:
        return {**volume}
    template = volume["ephemeral"].get("volumeClaimTemplate") or {}
    return {**volume, "ephemeral": {"volumeClaimTemplate": _bare(template)}}


def _bare(part: Mapping[str, Any]) -> Document:
    """Return a template without the annotations that nobody reads."""
    meta = part.get("metadata") or {}
    annotations = _annotations(meta)
    kept = _metadata(meta) | ({"annotations": annotations} if annotations else {})
    return {**part, "metadata": kept}


def _without_texts(value: Any) -> Any:
    """Return a status without what may say anything."""
    if isinstance(value, Mapping):
        return {key: _without_texts(part) for key, part in value.items() if key not in _UNTOLD}
    if isinstance(value, list):
        return [_without_texts(part) for part in value]
    return value
