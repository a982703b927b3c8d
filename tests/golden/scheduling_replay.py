"""Replays recorded decisions of kube-scheduler against the engine and says where they differ.

`tests/golden/scheduling/README.md` describes the files. The records hold objects as a client sends
them; the library makes of them what an API server stores, or says why it would not.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from kubeberth.api.core import Pod
from kubeberth.library.kinds import RESOURCES, TYPES
from kubeberth.library.stored import SYSTEM_CLASSES, Stored, to_stored
from kubeberth.placement import observed
from kubeberth.placement.config.profiles import to_profiles
from kubeberth.placement.config.validation import decode_configuration
from kubeberth.placement.decision import Decision, Nomination
from kubeberth.placement.delta import Nominated, NominationCleared, PodPut
from kubeberth.placement.engine import Engine
from kubeberth.placement.explain import explain
from kubeberth.placement.explanation import Explanation
from kubeberth.placement.plugins import in_tree_plugins
from kubeberth.placement.profile import Profile, default_profile
from kubeberth.placement.state import ClusterState
from kubeberth.placement.ties import Listed

Document = dict[str, Any]

RULES = {plugin.name for plugin in in_tree_plugins()}
# Gives 0 to everybody: no record has resource claims.
_ALWAYS_ZERO = "DynamicResources"
# Fields of a scenario, in the order in which their objects are best taken in.
KINDS_OF_FIELDS = {
    "namespaces": "Namespace",
    "services": "Service",
    "replicationControllers": "ReplicationController",
    "replicaSets": "ReplicaSet",
    "statefulSets": "StatefulSet",
    "nodes": "Node",
    "pvs": "PersistentVolume",
    "pvcs": "PersistentVolumeClaim",
    "storageClasses": "StorageClass",
    "csiNodes": "CSINode",
    "csiDrivers": "CSIDriver",
    "csiStorageCapacities": "CSIStorageCapacity",
    "volumeAttachments": "VolumeAttachment",
    "pdbs": "PodDisruptionBudget",
}


@dataclass
class Tally:
    """What came of replaying some records.

    `n_refusals` counts scenarios with objects that the API server refuses, `n_admitted` pods whose
    admission is recorded, `skipped` decisions by the rule or feature that is not there yet.
    """

    n_scenarios: int = 0
    n_whole_scenarios: int = 0
    n_decisions: int = 0
    n_compared: int = 0
    n_refusals: int = 0
    n_admitted: int = 0
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
    if "admitted" in record:
        tally.n_admitted += 1
        tally.differences += _differences_of_admission(record)
        return
    scenario, expected = record["scenario"], record["expected"]
    tally.n_scenarios += 1
    refused = refusals(scenario)
    if refused or "invalid" in expected:
        tally.n_whole_scenarios += 1
        tally.n_refusals += 1
        if refused != expected.get("invalid"):
            recorded = expected.get("invalid")
            found = f"refused: recorded {recorded!r}, ours {refused!r}"
            tally.differences.append(f"{scenario['id']}: {found}")
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


def _differences_of_admission(record: Document) -> Iterator[str]:
    """Yield the differences between a pod as it is admitted here and as it was recorded."""
    result = stored("Pod", record["pod"], record)
    spec, expected = result.document["spec"], record["admitted"]["spec"]
    # The recorder's two system classes lacked the policy that a server's own have.
    expected.setdefault("preemptionPolicy", "PreemptLowerPriority")
    if result.faults or spec != expected:
        yield f"{record['pod']['metadata']['name']}: recorded {expected!r}, ours {result!r}"


def _assume(state: ClusterState, engine: Engine, pod: Pod, node_name: str) -> None:
    request, slot = state.request(pod), state.slot_of(node_name)
    assert slot is not None
    promised = engine.reserve(request, slot)
    state.assume(pod.metadata.key, pod.metadata.labels, request, slot, promised)
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


def refusals(scenario: Document) -> list[Document]:
    """Return which objects of a scenario the API server refuses, as the records say it."""
    named = [
        *(("Node", node, node["metadata"]["name"]) for node in scenario["nodes"]),
        *(
            ("Pod", pod, f"default/{pod['metadata']['name']}")
            for pod in (*scenario["pods"], *scenario["pending"])
        ),
    ]
    found = []
    for kind, document, name in named:
        result = stored(kind, document, scenario)
        if not result.faults:
            continue
        errors = sorted(map(str, result.errors))
        if result.forbidden:
            errors = [f'pods "{document["metadata"]["name"]}" is forbidden: {result.forbidden}']
        stage = "admission" if result.forbidden else "validation"
        found.append({"object": f"{kind.lower()} {name}", "stage": stage, "errors": errors})
    return found


def stored(kind: str, document: Document, scenario: Document) -> Stored:
    """Return what the API server makes of an object."""
    classes = (*SYSTEM_CLASSES, *scenario.get("priorityClasses", ()))
    return to_stored(RESOURCES[kind], document, classes)


def build_state(scenario: Document) -> ClusterState:
    """Return the cluster of a scenario."""
    state = ClusterState()
    for field_name, kind in KINDS_OF_FIELDS.items():
        for document in scenario.get(field_name, []):
            item = msgspec.convert(stored(kind, document, scenario).document, TYPES[kind])
            state.apply(observed.put(item))
    for document in scenario["pods"]:
        pod = to_pod(document, scenario)
        if not pod.is_terminal:
            state.apply(PodPut(pod, pod.spec.node_name))
    return state


def by_name(state: ClusterState) -> Listed:
    """Return the tie break of the records: the first by name."""
    slots = {name: state.slot_of(name) for name in sorted(state.node_names)}
    return Listed(slot for slot in slots.values() if slot is not None)


def started(pod: Pod, index: int) -> Pod:
    """Return a pod that was placed as the index-th one, with the time that the records give it."""
    time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=index)
    start_time = f"{time:%Y-%m-%dT%H:%M:%SZ}"
    status = msgspec.structs.replace(pod.status, phase="Pending", start_time=start_time)
    return msgspec.structs.replace(pod, status=status)


def to_pod(document: Document, scenario: Document) -> Pod:
    """Return a pod as the API server stores it."""
    return msgspec.convert(stored("Pod", document, scenario).document, Pod)
