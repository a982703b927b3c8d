"""A snapshot without names is as good as one with them: every decision stays as it is."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from tests.property.planned_worlds import CLASSES, ZONE, releases
from tests.property.test_remedies_applied import nodes
from tests.unit.planner.clusters import as_file

from kubeberth.planner.anonymous import anonymised
from kubeberth.planner.kinds import TYPES
from kubeberth.planner.manifests import read
from kubeberth.planner.plan import Plan
from kubeberth.planner.planning import RefusedError, Task, carry_out, make_plan
from kubeberth.planner.questions import Questions
from kubeberth.planner.snapshot import reduced

Document = dict[str, Any]

RUNTIME = {
    "apiVersion": "node.k8s.io/v1",
    "kind": "RuntimeClass",
    "metadata": {"name": "careful"},
    "handler": "runsc",
    "overhead": {"podFixed": {"cpu": "100m"}},
    "scheduling": {"nodeSelector": {"disk": "ssd"}},
}


def quota(name: str, **spec: Any) -> Document:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": spec}


OF_HIGH = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
QUOTAS = (
    quota("urgent", hard={"pods": "4"}, scopeSelector={"matchExpressions": [OF_HIGH]}),
    quota(
        "claims",
        hard={
            "standard.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
            "count/deployments.apps": "2",
            "count/widgets.example.com": "3",
        },
    ),
)


def snapshot_after(cluster: list[Document], manifests: list[Document]) -> list[Document]:
    world, _ = carry_out(Task(cluster, read([as_file(*manifests)])))
    return [
        reduced(resource, world.objects.document(resource, item.metadata.key))
        for resource in TYPES
        for item in world.objects.all(resource)
    ]


def outline(plan: Plan) -> Document:
    """Return what a plan comes to, with a place in a row instead of each name."""
    row = {node.name: index for index, node in enumerate(plan.nodes)}
    return {
        "nodes": [(n.resources, n.pods_before, n.pods_after, n.change) for n in plan.nodes],
        "pods": [(row.get(p.node or ""), p.priority, p.was_pending) for p in plan.pods],
        "removed": [(row.get(p.node), p.why, p.priority, p.returns) for p in plan.removed],
        "workloads": [(w.kind, w.wanted, w.placed, bool(w.rollout)) for w in plan.workloads],
        "stuck": len(plan.stuck),
    }


def check_names(given_nodes: list[Document], manifests: list[Document]) -> None:
    """Take the names out of a snapshot, and ask it what the snapshot is asked."""
    around = [*given_nodes, *CLASSES, RUNTIME, *QUOTAS]
    for item in manifests:
        if item["kind"] == "Deployment":
            item["spec"]["template"]["spec"]["runtimeClassName"] = "careful"
    try:
        taken = snapshot_after(around, manifests)
    except RefusedError:
        assume(False)
    hidden = anonymised(taken)
    text = msgspec.json.encode(hidden).decode()
    for name in ("careful", "urgent", "widgets", '"high"', '"by-hand"', "runsc"):
        assert name not in text
    pairs = [(old, new) for old, new in zip(taken, hidden, strict=True) if old["kind"] == "Node"]
    old_node, new_node = (node["metadata"] for node in pairs[0])
    for old, new in (
        (Questions(), Questions()),
        (Questions(drain=(old_node["name"],)), Questions(drain=(new_node["name"],))),
        (
            Questions(without=(old_node["labels"][ZONE],)),
            Questions(without=(new_node["labels"][ZONE],)),
        ),
    ):
        expected = outline(make_plan(Task(taken, questions=old)))
        assert outline(make_plan(Task(hidden, questions=new))) == expected


@given(nodes(), releases())
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
def test_what_is_asked_of_a_snapshot_has_the_same_answer_without_names(
    given_nodes: list[Document], manifests: list[Document]
) -> None:
    check_names(given_nodes, manifests)
