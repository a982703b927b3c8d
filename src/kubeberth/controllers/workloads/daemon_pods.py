"""What the pods of a DaemonSet look like, and on which nodes they belong.

Matches Kubernetes 1.36 (`pkg/controller/daemon`, `util/daemonset_util.go`). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kubeberth.api.core import Node, Pod, PodSpec, Taint
from kubeberth.api.node_affinity import matches_node
from kubeberth.api.taints import tolerates
from kubeberth.api.workloads import DaemonSet
from kubeberth.controllers.action import Document, ObjectRef
from kubeberth.controllers.workloads.pod_template import pod_from_template

HASH = "controller-revision-hash"
GENERATION = "pod-template-generation"
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
# Daemons stay when their node is in trouble, and come while it is not in order yet.
_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_TOLERATED_ON_HOST_NETWORK = (("node.kubernetes.io/network-unavailable", "NoSchedule"),)


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a daemon belongs on a node.

    Parameters
    ----------
    starts
        A pod is to be made where there is none.
    stays
        A pod that is there may stay.
    """

    starts: bool
    stays: bool


UNFIT = Fit(starts=False, stays=False)


def spec_of(daemon_set: DaemonSet) -> PodSpec:
    """Return the spec of the pods, but for where they are to run."""
    spec = daemon_set.spec.template.get("spec") or {}
    return msgspec.convert({**spec, "tolerations": _tolerations(spec)}, PodSpec)


def fit(spec: PodSpec, node: Node) -> Fit:
    """Return whether pods of a spec belong on a node: its labels, its name and its taints decide.

    Neither room nor readiness matter, and cordoning does not, as daemons tolerate it.
    """
    if spec.node_name not in ("", node.name) or not matches_node(spec, node):
        return UNFIT
    untolerated = {taint.effect for taint in node.spec.taints if not _is_tolerated(spec, taint)}
    if "NoExecute" in untolerated:
        return UNFIT
    return Fit(starts="NoSchedule" not in untolerated, stays=True)


def _is_tolerated(spec: PodSpec, taint: Taint) -> bool:
    return any(tolerates(toleration, taint) for toleration in spec.tolerations)


def _tolerations(spec: Document) -> list[dict[str, Any]]:
    """Return the tolerations of a spec and those that daemons have on top."""
    tolerations = [dict(toleration) for toleration in spec.get("tolerations") or ()]
    added = _TOLERATED + (_TOLERATED_ON_HOST_NETWORK if spec.get("hostNetwork") else ())
    for key, effect in added:
        wanted = {"key": key, "operator": "Exists", "effect": effect}
        same = [t for t in tolerations if _without_seconds(t) == wanted]
        for toleration in same:
            toleration.pop("tolerationSeconds", None)
        if not same:
            tolerations.append(wanted)
    return tolerations


def _without_seconds(toleration: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def new_pod(daemon_set: DaemonSet, owner: ObjectRef, hash_: str, node: str) -> dict[str, Any]:
    """Return the pod for a node, which the scheduler brings there and nowhere else."""
    pod = pod_from_template(owner, daemon_set.spec.template)
    labels = {**pod["metadata"].get("labels", {}), HASH: hash_}
    if (generation := template_generation(daemon_set)) is not None:
        labels[GENERATION] = generation
    spec = pod["spec"]
    affinity = spec.get("affinity") or {}
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    bound = {
        **affinity,
        "nodeAffinity": {**(affinity.get("nodeAffinity") or {}), _REQUIRED: required},
    }
    return {
        **pod,
        "metadata": {**pod["metadata"], "labels": labels},
        "spec": {**spec, "affinity": bound, "tolerations": _tolerations(spec)},
    }


def template_generation(daemon_set: DaemonSet) -> str | None:
    """Return how often the template has changed, as the API server counts it."""
    text = daemon_set.metadata.annotations.get(TEMPLATE_GENERATION, "")
    return text if text.isdecimal() else None


def is_updated(pod: Pod, hash_: str, generation: str | None) -> bool:
    """Return whether a pod is made of the current template."""
    labels = pod.metadata.labels
    if labels.get(HASH) == hash_:
        return True
    return generation is not None and labels.get(GENERATION) == generation


def target_of(pod: Pod) -> str | None:
    """Return the node where a pod is or is to be; None when it could be any."""
    if pod.spec.node_name:
        return pod.spec.node_name
    affinity = pod.spec.affinity
    if affinity is None or affinity.node_affinity is None:
        return None
    required = affinity.node_affinity.required_during_scheduling_ignored_during_execution
    fields = (
        field
        for term in (required.node_selector_terms if required is not None else ())
        for field in term.match_fields
        if field.key == "metadata.name" and field.operator == "In" and len(field.values) == 1
    )
    return next((field.values[0] for field in fields), None)


def oldest_first(pods: Iterable[Pod]) -> Sequence[Pod]:
    """Return pods in the order in which they may stay: scheduled ones first, then by age."""
    return sorted(
        pods,
        key=lambda pod: (
            not pod.spec.node_name,
            pod.metadata.creation_timestamp or "",
            pod.metadata.name,
        ),
    )
