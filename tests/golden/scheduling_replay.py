"""Replays recorded decisions of kube-scheduler against the engine and says where they differ.

`tests/golden/scheduling/README.md` describes the files. The records hold objects as a client sends
them, so the few steps of defaulting and admission that placing depends on are done here.
"""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from kubeberth.api.core import Namespace, Node, Pod
from kubeberth.api.meta import LabelSelector, ObjectMeta
from kubeberth.api.policy import PodDisruptionBudget
from kubeberth.api.requests import effective_request
from kubeberth.api.storage import (
    CSIDriver,
    CSINode,
    CSIStorageCapacity,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    StorageObject,
    VolumeAttachment,
)
from kubeberth.placement.config.profiles import to_profiles
from kubeberth.placement.config.validation import decode_configuration
from kubeberth.placement.decision import Decision, Nomination
from kubeberth.placement.delta import (
    ControllerPut,
    NamespacePut,
    NodePut,
    Nominated,
    NominationCleared,
    PdbPut,
    PodPut,
    ServicePut,
    StoragePut,
)
from kubeberth.placement.engine import Engine
from kubeberth.placement.explain import Explanation, explain
from kubeberth.placement.plugins import in_tree_plugins
from kubeberth.placement.profile import Profile, default_profile
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import Listed

Document = dict[str, Any]

RULES = {plugin.name for plugin in in_tree_plugins()}
STORAGE_KINDS: dict[str, type[StorageObject]] = {
    "pvs": PersistentVolume,
    "pvcs": PersistentVolumeClaim,
    "storageClasses": StorageClass,
    "csiNodes": CSINode,
    "csiDrivers": CSIDriver,
    "csiStorageCapacities": CSIStorageCapacity,
    "volumeAttachments": VolumeAttachment,
}
# Gives 0 to everybody: no record has resource claims.
_ALWAYS_ZERO = "DynamicResources"
_SYSTEM_PRIORITIES = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}

_CONTROLLERS = {
    "replicationControllers": "ReplicationController",
    "replicaSets": "ReplicaSet",
    "statefulSets": "StatefulSet",
}


@dataclass
class Tally:
    """What came of replaying some records.

    `skipped` counts decisions by the rule or feature that is not there yet.
    """

    n_scenarios: int = 0
    n_whole_scenarios: int = 0
    n_decisions: int = 0
    n_compared: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def read(path: Path) -> Iterator[Document]:
    """Yield the records of a file."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            yield json.loads(line)


def replay_file(path: Path, limit: int | None = None) -> Tally:
    """Replay all records of a file, or the first `limit`."""
    tally = Tally()
    for index, record in enumerate(read(path)):
        if limit is not None and index >= limit:
            break
        replay(record, tally)
    return tally


def replay(record: Document, tally: Tally) -> None:
    """Compare each decision of a record that needs no rule beyond those that exist.

    Every pod is then put where the record says, so that decisions are compared one by one.
    """
    scenario, expected = record["scenario"], record["expected"]
    tally.n_scenarios += 1
    if "results" not in expected:
        _skip(tally, "refused by the API server")
        return
    reason = _whole_scenario_needs(scenario)
    state = None if reason else build_state(scenario)
    profile = to_profile(scenario)
    engine = None if state is None else Engine(state, profile, by_name(state))
    compared_all = True
    pending = zip(scenario["pending"], expected["results"], strict=True)
    for index, (document, result) in enumerate(pending):
        tally.n_decisions += 1
        needs = reason or decision_needs(result)
        if needs or state is None:
            _skip(tally, needs or "")
            compared_all = False
        pod = to_pod(document, scenario)
        if state is not None and engine is not None and not needs:
            tally.n_compared += 1
            if pod.status.nominated_node_name:
                # What the records' description says of the nominations of other pods, the records
                # do not bear out: each pod sees its own alone.
                state.apply(Nominated(pod, pod.status.nominated_node_name))
            found = _differences(result, state, engine, profile, pod)
            state.apply(NominationCleared(pod.metadata.key))
            tally.differences += [f"{scenario['id']} {result['pod']}: {text}" for text in found]
        if state is not None and engine is not None and "chosen" in result:
            _assume(state, engine, started(pod, index), result["chosen"])
    tally.n_whole_scenarios += compared_all


def _assume(state: ClusterState, engine: Engine, pod: Pod, node_name: str) -> None:
    request, slot = state.request(pod), state.slot_of(node_name)
    assert slot is not None
    promised = engine.reserve(request, slot)
    state.assume(pod.metadata.key, pod.metadata, request, slot, promised)
    state.apply(PodPut(pod, node_name))


def _skip(tally: Tally, reason: str) -> None:
    tally.skipped[reason] = tally.skipped.get(reason, 0) + 1


def _whole_scenario_needs(scenario: Document) -> str:
    if scenario.get("record") == "trace" and "ImageLocality" not in RULES:
        return "ImageLocality"  # the trace's records do not say what each rule gave
    return ""


def decision_needs(result: Document) -> str:
    """Return a rule that took part in a decision and does not exist yet; empty for none."""
    plugins = {entry["plugin"] for entry in result.get("rejected", {}).values()}
    if "preFilter" in result:
        plugins.add(result["preFilter"]["plugin"])
    plugins |= {name for name, scores in result.get("scores", {}).items() if any(scores.values())}
    missing = sorted(plugins - RULES - {"", _ALWAYS_ZERO})
    return missing[0] if missing else ""


def _differences(
    result: Document, state: ClusterState, engine: Engine, profile: Profile, pod: Pod
) -> list[str]:
    if "preEnqueue" in result:
        return []
    story = explain(state, pod, profile)
    decision = engine.place(pod)
    found = [
        f"{what}: recorded {want!r}, ours {ours!r}"
        for what, want, ours in _pairs(result, story)
        if want != ours
    ]
    if decision.node != result.get("chosen"):
        found.append(f"chosen: recorded {result.get('chosen')!r}, ours {decision.node!r}")
    failure = decision.failure
    if (failure is not None and failure.is_error) != ("error" in result):
        found.append(f"error: recorded {result.get('error')!r}, ours {failure!r}")
    if not _is_nominated(decision, result):
        found.append(f"nominated: recorded {result.get('preemption')!r}, ours {decision!r}")
    if "message" in result and (failure is None or failure.message != result["message"]):
        found.append(f"message: recorded {result['message']!r}, ours {failure!r}")
    if decision.failure != story.failure:
        found.append(f"engine and explanation differ: {decision.failure!r} {story.failure!r}")
    return found


def _is_nominated(decision: Decision, result: Document) -> bool:
    """Return whether a decision makes a node free exactly when the record does, and such a one."""
    nomination, preemption = decision.nomination, result.get("preemption")
    if nomination is None or preemption is None:
        return nomination is None and preemption is None
    return (
        nomination.node in preemption["nominated"]
        and _candidate(nomination) in preemption["candidates"]
    )


def _pairs(result: Document, story: Explanation) -> Iterator[tuple[str, Any, Any]]:
    if "numFeasible" in result:
        yield "numFeasible", result["numFeasible"], len(story.feasible)
        yield "maxTotal", result.get("maxTotal", 0), max(story.totals.values(), default=0)
        yield "best", result.get("best", []), list(story.best)
        return
    yield "feasible", sorted(result.get("feasible") or []), sorted(story.feasible)
    refused = story.refused
    yield (
        "preFilter",
        _verdict(result.get("preFilter")),
        None if refused is None else (refused.plugin, refused.code, set(refused.reasons)),
    )
    yield (
        "rejected",
        {name: _verdict(entry) for name, entry in (result.get("rejected") or {}).items()},
        {n: (r.plugin, r.code, set(r.reasons)) for n, r in story.rejected.items()},
    )
    if "error" not in result:
        recorded = result.get("scores", {})
        yield "scores", {n: s for n, s in recorded.items() if n in RULES}, dict(story.scores)
        yield "total", result.get("total", {}), dict(story.totals)
        yield "best", result.get("best", []), list(story.best)
        preemption = result.get("preemption", {"candidates": [], "nominated": []})
        yield "candidates", preemption["candidates"], list(map(_candidate, story.candidates))
        yield "nominated", preemption["nominated"], list(story.nominated)


def _candidate(nomination: Nomination) -> Document:
    return {
        "node": nomination.node,
        "victims": list(nomination.victims),
        "numPDBViolations": nomination.n_pdb_violations,
    }


def _verdict(entry: Document | None) -> tuple[str, str, set[str]] | None:
    return entry and (entry["plugin"], entry["code"], set(entry["reasons"]))


def to_profile(scenario: Document) -> Profile:
    """Return the profile that a scenario configures, or the default."""
    if "config" not in scenario:
        return default_profile()
    (profile,) = to_profiles(decode_configuration(scenario["config"]))
    return profile


def build_state(scenario: Document) -> ClusterState:
    """Return the cluster of a scenario."""
    state = ClusterState()
    for document in scenario.get("namespaces", []):
        name = document["metadata"]["name"]
        labels = {**document["metadata"].get("labels", {}), "kubernetes.io/metadata.name": name}
        state.apply(NamespacePut(name, msgspec.convert(labels, dict[str, str])))
    for document in scenario.get("services", []):
        meta = to_meta(document)
        selector = document["spec"].get("selector")
        state.apply(ServicePut(meta.namespace, meta.name, selector))
    for field_name, kind in _CONTROLLERS.items():
        for document in scenario.get(field_name, []):
            meta = to_meta(document)
            selector = document["spec"].get("selector")
            if kind == "ReplicationController":
                selector = {"matchLabels": selector}
            typed = msgspec.convert(selector, LabelSelector | None)
            state.apply(ControllerPut(kind, meta.namespace, meta.name, typed))
    for document in scenario["nodes"]:
        state.apply(NodePut(to_node(document)))
    for field_name, storage_kind in STORAGE_KINDS.items():
        for document in scenario.get(field_name, []):
            state.apply(StoragePut(to_storage(document, storage_kind)))
    for document in scenario["pods"]:
        pod = to_pod(document, scenario)
        if not pod.is_terminal:
            state.apply(PodPut(pod, pod.spec.node_name))
    for document in scenario.get("pdbs", []):
        state.apply(PdbPut(to_budget(document)))
    return state


def by_name(state: ClusterState) -> Listed:
    """Return the tie break of the records: the first by name."""
    slots = {name: state.slot_of(name) for name in sorted(state.node_names)}
    return Listed(slot for slot in slots.values() if slot is not None)


def to_meta(document: Document) -> ObjectMeta:
    """Return an object's metadata as the API server stores it."""
    return msgspec.convert({"namespace": "default", **document["metadata"]}, ObjectMeta)


def to_node(document: Document) -> Node:
    """Return a node as the API server stores it."""
    node = copy.deepcopy(document)
    status = node.setdefault("status", {})
    status.setdefault("allocatable", status.get("capacity", {}))
    return msgspec.convert(node, Node)


def to_namespace(document: Document) -> Namespace:
    """Return a namespace as the API server stores it."""
    return msgspec.convert(document, Namespace)


def to_storage(document: Document, kind: type[StorageObject]) -> StorageObject:
    """Return a claim, a volume or the like as the API server stores it."""
    item = copy.deepcopy(document)
    if kind in (PersistentVolumeClaim, CSIStorageCapacity):
        item["metadata"].setdefault("namespace", "default")
    if kind is StorageClass:
        item.setdefault("volumeBindingMode", "Immediate")
    return msgspec.convert(item, kind)


def to_budget(document: Document) -> PodDisruptionBudget:
    """Return a disruption budget as the API server stores it."""
    budget = copy.deepcopy(document)
    budget["metadata"].setdefault("namespace", "default")
    return msgspec.convert(budget, PodDisruptionBudget)


def started(pod: Pod, index: int) -> Pod:
    """Return a pod that was placed as the index-th one, with the time that the records give it."""
    time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=index)
    start_time = f"{time:%Y-%m-%dT%H:%M:%SZ}"
    status = msgspec.structs.replace(pod.status, phase="Pending", start_time=start_time)
    return msgspec.structs.replace(pod, status=status)


def to_pod(document: Document, scenario: Document) -> Pod:
    """Return a pod as the API server stores it."""
    pod = copy.deepcopy(document)
    pod["metadata"].setdefault("namespace", "default")
    spec = pod["spec"]
    for container in (*spec["containers"], *spec.get("initContainers", [])):
        _default_container(container, host_network=spec.get("hostNetwork", False))
    _default_pod_level(pod)
    _admit_priority(spec, scenario)
    _admit_tolerations(spec)
    _merge_label_keys(pod)
    return msgspec.convert(pod, Pod)


def _default_container(container: Document, *, host_network: bool) -> None:
    resources = container.setdefault("resources", {})
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    resources["requests"] = {**limits, **requests}
    for port in container.get("ports", []):
        if host_network and not port.get("hostPort"):
            port["hostPort"] = port["containerPort"]


def _default_pod_level(pod: Document) -> None:
    spec = pod["spec"]
    limits = (spec.get("resources") or {}).get("limits")
    if not limits:
        return
    bare = {**pod, "spec": {**spec, "resources": None, "overhead": {}}}
    of_containers = effective_request(msgspec.convert(bare, Pod))
    texts = {name: f"{n}m" if name == "cpu" else str(n) for name, n in of_containers.items()}
    requests = spec["resources"].setdefault("requests", {})
    for name in limits:
        requests.setdefault(name, texts.get(name, limits[name]))
    for name in ("cpu", "memory"):
        if name in texts:
            requests.setdefault(name, texts[name])


def _admit_priority(spec: Document, scenario: Document) -> None:
    classes = {entry["metadata"]["name"]: entry for entry in scenario.get("priorityClasses", [])}
    name = spec.get("priorityClassName")
    if name in _SYSTEM_PRIORITIES:
        spec["priority"] = _SYSTEM_PRIORITIES[name]
    elif name in classes:
        spec["priority"] = classes[name]["value"]
        if "preemptionPolicy" in classes[name]:
            spec.setdefault("preemptionPolicy", classes[name]["preemptionPolicy"])
    elif not name and "priority" not in spec:
        defaults = [entry for entry in classes.values() if entry.get("globalDefault")]
        if defaults:
            chosen = min(defaults, key=lambda entry: entry["value"])
            spec["priority"] = chosen["value"]
            if "preemptionPolicy" in chosen:
                spec.setdefault("preemptionPolicy", chosen["preemptionPolicy"])


def _admit_tolerations(spec: Document) -> None:
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(
            toleration.get("key", key) == key and toleration.get("effect", "") in ("", "NoExecute")
            for toleration in tolerations
        ):
            tolerations.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            )


def _merge_label_keys(pod: Document) -> None:
    labels = pod["metadata"].get("labels", {})
    affinity = pod["spec"].get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms = [
            *rules.get("requiredDuringSchedulingIgnoredDuringExecution", []),
            *(
                entry["podAffinityTerm"]
                for entry in rules.get("preferredDuringSchedulingIgnoredDuringExecution", [])
            ),
        ]
        for term in terms:
            _merge_into(term, labels)
    for constraint in pod["spec"].get("topologySpreadConstraints") or []:
        _merge_into(constraint, labels)


def _merge_into(term: Document, labels: Document) -> None:
    if term.get("labelSelector") is None:
        return
    expressions = term["labelSelector"].setdefault("matchExpressions", [])
    for field_name, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        for key in term.get(field_name, []):
            if key in labels:
                expressions.append({"key": key, "operator": operator, "values": [labels[key]]})
