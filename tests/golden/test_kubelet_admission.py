"""Admission decisions as kubelet 1.36.2 took them (tests/golden/kubelet/README.md)."""

import copy
import gzip
from pathlib import Path

import msgspec
import pytest

from kubeberth.api.core import Node
from kubeberth.kubelet.admission import NODE_AFFINITY, Features, admit, with_own_os
from kubeberth.kubelet.pod import KubeletPod

RECORDS = Path(__file__).parent / "kubelet" / "predicates.jsonl.gz"
# Pressure, sysctls and features have handlers of their own, and critical pods preempt.
# Decisions compared per theme; a number may only grow.
COMPARED = {
    "resources": 475,
    "pods": 123,
    "extended": 285,
    "node-affinity": 399,
    "ports": 320,
    "taints": 243,
    "os": 260,
    "mixed": 359,
}
CRITICAL = 2_000_000_000


def records(theme):
    with gzip.open(RECORDS) as lines:
        return [
            record
            for record in map(msgspec.json.decode, lines)
            if record["scenario"]["theme"] == theme
        ]


def defaulted(pod):
    """Return the pod as the API server stores it, as far as admission looks."""
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    containers = [*spec["containers"], *spec.get("initContainers", [])]
    for container in containers:
        resources = container.get("resources", {})
        for name, amount in resources.get("limits", {}).items():
            resources.setdefault("requests", {}).setdefault(name, amount)
        for port in container.get("ports", []) if spec.get("hostNetwork") else []:
            port.setdefault("hostPort", port["containerPort"])
    level = spec.get("resources")
    if level:
        for name, amount in level.get("limits", {}).items():
            level.setdefault("requests", {}).setdefault(name, amount)
    return msgspec.convert(pod, KubeletPod)


def node_of(document):
    if document is None:
        return None
    document = copy.deepcopy(document)
    status = document.setdefault("status", {})
    status.setdefault("allocatable", status.get("capacity", {}))
    return msgspec.convert(document, Node)


def decide(pod, scenario, active):
    """Decide as the kubelet does: by the cached Node, and by the live one if only labels fail."""
    cached, live = node_of(scenario["node"]), node_of(scenario.get("liveNode", scenario["node"]))
    features = ((scenario["node"] or {}).get("status") or {}).get("features") or {}
    can = Features(supplemental_groups_policy=features.get("supplementalGroupsPolicy", False))
    refusals = admit(pod, with_own_os(cached) if cached else None, active, can)
    if refusals == (NODE_AFFINITY,) and live is not None:
        return admit(pod, live, active, can)
    return refusals


def is_critical(pod):
    source = pod["metadata"].get("annotations", {}).get("kubernetes.io/config.source", "api")
    return source != "api" or pod["spec"].get("priority", 0) >= CRITICAL


@pytest.mark.parametrize("theme", COMPARED)
def test_pods_are_admitted_and_refused_as_recorded(theme):
    wrong, compared = [], 0
    for record in records(theme):
        scenario = record["scenario"]
        active = [defaulted(pod) for pod in scenario.get("pods", [])]
        for document, expected in zip(
            scenario["admit"], record["expected"]["results"], strict=True
        ):
            if is_critical(document):
                break
            pod = defaulted(document)
            if expected.get("handler", "predicates") == "predicates":
                compared += 1
                refusals = decide(pod, scenario, active)
                reason = refusals[0].reason if refusals else None
                texts = [refusal.message for refusal in refusals]
                wanted = expected.get("failures") or [expected.get("message")]
                if (reason, texts or [None]) != (expected.get("reason"), wanted):
                    wrong.append((scenario["id"], reason, texts, expected))
            if expected["admit"]:
                active.append(pod)
    assert compared >= COMPARED[theme]
    assert not wrong, (len(wrong), compared, wrong[:5])
