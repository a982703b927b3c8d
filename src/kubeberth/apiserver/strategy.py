"""What the server itself writes into objects at create and update; pure.

Matches `PrepareForCreate` and `PrepareForUpdate` of the strategies in `pkg/registry` of Kubernetes
1.36. `now` is RFC 3339 text.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from kubeberth.api import schema
from kubeberth.api.custom.version import storage_version
from kubeberth.api.job_selection import select_own_pods
from kubeberth.api.label_keys import merge_label_keys
from kubeberth.api.qos import qos_class
from kubeberth.api.scheme import Resource
from kubeberth.apiserver import parts
from kubeberth.apiserver.objects import Document

# Kinds whose `generation` counts changes of the spec.
COUNTED = frozenset(
    (
        "CSIDriver",
        "CronJob",
        "CustomResourceDefinition",
        "DaemonSet",
        "Deployment",
        "DeviceClass",
        "EndpointSlice",
        "Ingress",
        "IngressClass",
        "Job",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "NetworkPolicy",
        "Pod",
        "PodDisruptionBudget",
        "PodTemplate",
        "PriorityClass",
        "ReplicaSet",
        "ReplicationController",
        "ResourceSlice",
        "StatefulSet",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    )
)
# Of these, kinds whose generation never goes on, and kinds without a spec: all that is theirs
# counts.
_COUNTED_ONCE = frozenset(("PriorityClass",))
_COUNTED_WHOLE = frozenset(
    (
        "EndpointSlice",
        "MutatingWebhookConfiguration",
        "PodTemplate",
        "ValidatingWebhookConfiguration",
    )
)
# Kinds that may be created by PUT.
CREATED_BY_PUT = frozenset(
    (
        "ClusterRole",
        "ClusterRoleBinding",
        "Endpoints",
        "Event",
        "Lease",
        "LimitRange",
        "Role",
        "RoleBinding",
        "Service",
    )
)
# Kinds of which an update must name the version it is based on.
VERSION_REQUIRED = frozenset(
    (
        "CSIDriver",
        "CSINode",
        "CSIStorageCapacity",
        "Lease",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "PodDisruptionBudget",
        "RuntimeClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
    )
)
# Kinds whose DELETE answers with the object also when it is gone at once.
RETURNED_WHEN_DELETED = frozenset(
    (
        "CSIDriver",
        "CSINode",
        "CSIStorageCapacity",
        "CustomResourceDefinition",
        "DeviceClass",
        "Namespace",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "PodTemplate",
        "ResourceClaim",
        "ResourceClaimTemplate",
        "ResourceQuota",
        "ResourceSlice",
        "Service",
        "ServiceAccount",
        "StorageClass",
        "VolumeAttachment",
        "VolumeAttributesClass",
    )
)

# Subresources that write spec and status by rules of their own, and change no generation.
OWN_WRITES = frozenset(("binding", "bindings", "eviction"))

SERVER_FIELDS = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)
# Where a daemon set tells how often its template has changed.
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
MAX_PREFIX = 58  # a name of 63 less the random part


def generated_name(prefix: str, chance: random.Random) -> str:
    """Return a new name that starts with the prefix."""
    return prefix[:MAX_PREFIX] + "".join(chance.choices(ALPHABET, k=5))


def drop_server_fields(metadata: dict[str, Any]) -> None:
    """Take out of new metadata what is not the client's to say."""
    for name in SERVER_FIELDS:
        metadata.pop(name, None)


def drop_repeated_owners(metadata: dict[str, Any]) -> list[str]:
    """Take out of metadata the owners that are named twice, and return what to warn of."""
    owners = metadata.get("ownerReferences") or []
    if len(owners) < 2:
        return []
    kept: list[Any] = []
    repeated: list[str] = []
    for owner in owners:
        if owner in kept:
            repeated.append(owner.get("uid", ""))
        else:
            kept.append(owner)
    if not repeated:
        return []
    metadata["ownerReferences"] = kept
    return [
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references "
        "in 1.20+, and may reject such requests as early as 1.24; please fix your requests; "
        f"duplicate UID(s) observed: [{' '.join(repeated)}]"
    ]


def prepare_create(resource: Resource, document: Document, *, uid: str, now: str) -> None:
    """Fill in what is the server's to say about a new object."""
    metadata = document["metadata"]
    drop_server_fields(metadata)
    metadata |= {"uid": uid, "creationTimestamp": now}
    if resource.built_in_kind in COUNTED or resource.custom is not None:
        metadata["generation"] = 1
    if resource.has_status and resource.built_in_kind != "Node":
        put(document, "status", _empty_status(resource))
    if prepare := _PREPARE.get(resource.built_in_kind):
        prepare(document, now)


def _prepare_pod(pod: Document, now: str) -> None:
    pod["status"] = _pending_status(pod["spec"], now)
    merge_label_keys(pod)


def _prepare_node(node: Document, now: str) -> None:
    node.get("spec", {}).pop("configSource", None)  # of a kubelet feature that is gone


def _prepare_namespace(namespace: Document, now: str) -> None:
    metadata = namespace["metadata"]
    name = metadata.get("name", "")
    metadata["labels"] = {**metadata.get("labels", {}), "kubernetes.io/metadata.name": name}
    spec = namespace.setdefault("spec", {})
    if "kubernetes" not in spec.get("finalizers", ()):
        spec["finalizers"] = [*spec.get("finalizers", ()), "kubernetes"]
    namespace["status"] = {"phase": "Active"}


def _prepare_volume(volume: Document, now: str) -> None:
    volume["status"] = {"phase": "Pending", "lastPhaseTransitionTime": now}


def _prepare_claim(claim: Document, now: str) -> None:
    claim["status"] = {"phase": "Pending"}


def _prepare_daemon_set(daemon_set: Document, now: str) -> None:
    _set_template_generation(daemon_set["metadata"], 1)


def _prepare_definition(definition: Document, now: str) -> None:
    definition["status"] = {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": None,
    }
    _note_storage_version(definition)


def _note_storage_version(definition: Document) -> None:
    """Remember that objects may be stored in the storage version of a definition."""
    name, status = storage_version(definition["spec"]), definition["status"]
    known = status.get("storedVersions") or ()
    if name and name not in known:
        definition["status"] = {**status, "storedVersions": [*known, name]}


def _prepare_job(job: Document, now: str) -> None:
    select_own_pods(job)


def _note_taint_times(resource_slice: Document, now: str) -> None:
    """Remember since when devices have their taints."""
    for device in (resource_slice.get("spec") or {}).get("devices") or ():
        for taint in device.get("taints") or ():
            taint.setdefault("timeAdded", now)


_PREPARE: dict[str, Callable[[Document, str], None]] = {
    "CustomResourceDefinition": _prepare_definition,
    "DaemonSet": _prepare_daemon_set,
    "Job": _prepare_job,
    "Namespace": _prepare_namespace,
    "Node": _prepare_node,
    "PersistentVolume": _prepare_volume,
    "PersistentVolumeClaim": _prepare_claim,
    "Pod": _prepare_pod,
    "ResourceSlice": _note_taint_times,
}


def _set_template_generation(metadata: dict[str, Any], generation: int) -> None:
    """Tell in an annotation how often a daemon set's template has changed."""
    annotations = metadata.get("annotations") or {}
    metadata["annotations"] = {**annotations, TEMPLATE_GENERATION: str(generation)}


def _pending_status(spec: dict[str, Any], now: str) -> dict[str, Any]:
    """Return the status of a new pod; one with scheduling gates says what it waits for."""
    status: dict[str, Any] = {"phase": "Pending"}
    if spec.get("schedulingGates"):
        status["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": now,
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ]
    status["qosClass"] = qos_class(spec)
    return status


def _empty_status(resource: Resource) -> Any:
    if resource.custom is not None:
        return None
    definition = schema.definition_of(resource.api_version, resource.built_in_kind)
    return definition.empty().get("status") if definition is not None else None


def put(document: dict[str, Any], name: str, value: Any) -> None:
    """Set a field, or take it out when there is nothing to say."""
    if value is None:
        document.pop(name, None)
    else:
        document[name] = value


def prepare_update(resource: Resource, sub: str, new: Document, old: Document, *, now: str) -> None:
    """Undo what this endpoint may not change, and count the generation."""
    _keep_server_fields(new["metadata"], old["metadata"])
    if sub in OWN_WRITES:
        return
    if keep_rest := parts.KEEP_REST.get(sub):
        keep_rest(new, old)
    elif sub == "status":
        _keep_all_but_status(new, old)
        if resource.custom is not None:
            owners = new["metadata"].get("managedFields")
            new["metadata"] = dict(old["metadata"])
            put(new["metadata"], "managedFields", owners)
        if resource.built_in_kind == "Deployment":
            _keep(new["metadata"], old["metadata"], "labels")
        if resource.built_in_kind == "Pod":
            _keep(new["metadata"], old["metadata"], "ownerReferences")
            _keep_pod_status(new, old)
        if resource.built_in_kind == "ResourceClaim" and "allocation" not in new["status"]:
            status = new["status"]  # without what drivers said of the devices it had
            new["status"] = {name: part for name, part in status.items() if name != "devices"}
    elif sub == "finalize" or resource.has_status:
        _keep(new, old, "status")
    if resource.built_in_kind == "Namespace" and sub != "finalize":
        spec = dict(new.get("spec", {}))
        _keep(spec, old.get("spec", {}), "finalizers")
        new["spec"] = spec
    if resource.built_in_kind == "Node" and "configSource" in new.get("spec", {}):
        new["spec"] = {n: part for n, part in new["spec"].items() if n != "configSource"}
    if resource.built_in_kind == "CertificateSigningRequest":
        new["spec"] = old["spec"]  # what was asked for stays
    if resource.built_in_kind == "ReplicaSet" and sub != "status":
        _keep(new, old, "status")
    if resource.built_in_kind == "DaemonSet" and sub != "status":
        _count_template(new, old)
    if resource.built_in_kind == "ResourceSlice":
        _note_taint_times(new, now)
    if resource.built_in_kind == "CustomResourceDefinition" and sub != "status":
        _note_storage_version(new)
    if sub in ("", "scale", "ephemeralcontainers", "resize") and _is_changed(resource, new, old):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def _count_template(new: Document, old: Document) -> None:
    generation = int((old["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, "0"))
    is_changed = new["spec"].get("template") != old["spec"].get("template")
    _set_template_generation(new["metadata"], generation + is_changed)


def _keep_server_fields(new: dict[str, Any], old: dict[str, Any]) -> None:
    _keep(new, old, "creationTimestamp", "generation", "selfLink", "resourceVersion")
    # What is left out is kept; what is changed stays changed, for validation to refuse.
    for name in ("uid", "deletionGracePeriodSeconds"):
        if name not in new and name in old:
            new[name] = old[name]
    if "deletionTimestamp" in old:
        new["deletionTimestamp"] = old["deletionTimestamp"]


def _keep(new: dict[str, Any], old: dict[str, Any], *names: str) -> None:
    for name in names:
        if (value := old.get(name)) is not None:
            new[name] = value
        elif name in new:
            del new[name]


def _keep_all_but_status(new: Document, old: Document) -> None:
    for name in [name for name in new if name not in old]:
        if name not in ("metadata", "status"):
            del new[name]
    for name, part in old.items():
        if name not in ("metadata", "status"):
            new[name] = part


def _keep_pod_status(new: Document, old: Document) -> None:
    """Keep of a pod's status what an update leaves out but may not take away."""
    status, before = new.get("status", {}), old.get("status", {})
    names = ("qosClass", "observedGeneration")
    kept = {name: before[name] for name in names if not status.get(name) and name in before}
    new["status"] = {**status, **kept} if kept else status


def _is_changed(resource: Resource, new: Document, old: Document) -> bool:
    if resource.custom is not None:
        ignored = ("metadata", "status") if resource.has_status else ("metadata",)
        return {**new, **dict.fromkeys(ignored)} != {**old, **dict.fromkeys(ignored)}
    if resource.built_in_kind not in COUNTED or resource.built_in_kind in _COUNTED_ONCE:
        return False
    if resource.built_in_kind in _COUNTED_WHOLE:
        return {**new, "metadata": None} != {**old, "metadata": None} or (
            new["metadata"].get("labels") != old["metadata"].get("labels")
        )
    if new.get("spec") != old.get("spec"):
        return True
    annotations = [doc["metadata"].get("annotations") or {} for doc in (new, old)]
    return resource.built_in_kind == "Deployment" and annotations[0] != annotations[1]


def is_finished(resource: Resource, new: Document, old: Document) -> bool:
    """Return whether an update took the last thing that kept a deleted object."""
    if new["metadata"].get("finalizers") or "deletionTimestamp" not in old["metadata"]:
        return False
    if resource.built_in_kind == "Namespace":
        return not new.get("spec", {}).get("finalizers")
    return not old["metadata"].get("deletionGracePeriodSeconds")
