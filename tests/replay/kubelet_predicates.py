"""Replays recorded admission checks, `tests/golden/kubelet/README.md`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kubeberth.kubelet.admission import Holdings, Situation, Verdict, admit
from kubeberth.kubelet.predicates import NODE_AFFINITY, Features, with_own_os
from kubeberth.topology.managers import Allocations, Managers
from tests.replay.kubelet_objects import to_node, to_pod

Document = dict[str, Any]

# The resource managers take no part in these records.
UNMANAGED = Holdings(Managers.idle(), Allocations())


def features_of(node: Document | None) -> Features:
    """Return what a Node says of its runtime."""
    features = ((node or {}).get("status") or {}).get("features") or {}
    can = features.get("supplementalGroupsPolicy", False)
    return Features(supplemental_groups_policy=can)


def answers(scenario: Document) -> Document:
    """Return what is expected of a scenario, as kubeberth has it."""
    cached = to_node(scenario["node"])
    live = to_node(scenario.get("liveNode", scenario["node"]))
    active = [to_pod(document) for document in scenario.get("pods", [])]
    settings = scenario.get("config", {})
    results = []
    for document in scenario["admit"]:
        pod = to_pod(document)
        situation = Situation(
            with_own_os(cached) if cached else None,
            active,
            features_of(scenario["node"]),
            tuple(scenario.get("pressure", ())),
            tuple(settings.get("allowedUnsafeSysctls", ())),
            frozenset(scenario.get("declaredFeatures", ())),
        )
        verdict = admit(pod, situation, UNMANAGED)
        if verdict.failures == (NODE_AFFINITY,) and live is not None:
            verdict = admit(pod, replace(situation, node=live), UNMANAGED)
        results.append({"pod": pod.metadata.name, **shown(verdict)})
        active = [one for one in active if one not in verdict.victims]
        if verdict.refusal is None:
            active.append(pod)
    return {"results": results}


def shown(verdict: Verdict) -> Document:
    """Return what became of a pod as it is recorded."""
    result: Document = {"admit": verdict.refusal is None}
    if verdict.refusal is not None and verdict.handler is not None:
        result |= {
            "reason": verdict.refusal.reason,
            "message": verdict.refusal.message,
            "handler": verdict.handler.value,
        }
    if verdict.failures:
        result["failures"] = [refusal.message for refusal in verdict.failures]
    if verdict.victims:
        result["victims"] = [victim.metadata.name for victim in verdict.victims]
    return result
