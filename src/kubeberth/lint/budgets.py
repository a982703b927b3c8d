"""Which workloads a PodDisruptionBudget protects."""

from __future__ import annotations

from kubeberth.lint.label_selector import label_selector
from kubeberth.lint.subject import Subject, Workload
from kubeberth.lint.world import World


def protected_workloads(budget: Subject, world: World) -> list[Workload]:
    """Return what makes the pods of a budget, as far as the manifests tell."""
    selector = label_selector(budget.root.at("spec", "selector"))
    return [
        workload
        for workload in world.workloads_of.get(budget.namespace, ())
        if selector.matches(workload.labels)
    ]
