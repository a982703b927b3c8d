"""A rollout that needs one more place than there is.

Replicas that turn each other down fill every node or zone, and the strategy starts a new pod before
an old one goes (`maxUnavailable` 0). The new pod has no place, so the rollout never moves. Allow
`maxUnavailable: 1`, or have `matchLabelKeys: [pod-template-hash]` keep revisions apart only.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.amounts import scaled
from kubeberth.lint.pod_terms import pod_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.self_terms import is_of_itself
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    replicas = workload.replicas
    if workload.kind != "Deployment" or not replicas:
        return
    strategy = workload.subject.root.at("spec", "strategy")
    if strategy.at("type").text == "Recreate":
        return
    unavailable = strategy.at("rollingUpdate", "maxUnavailable")
    if scaled(unavailable.value, replicas, default="25%", is_up=False) > 0:
        return
    nodes = world.eligible(workload)
    for term in pod_terms(workload.spec, workload.namespace):
        key = term.topology_key.text
        if not (term.is_anti and term.is_required and is_of_itself(workload, term)):
            continue
        if "pod-template-hash" in term.narrowed_by or any(key not in n.labels for n in nodes):
            continue
        if nodes and len({node.labels[key] for node in nodes}) == replicas:
            yield Problem(
                term.topology_key,
                f"{replicas} replicas fill every {key} there is, and no pod goes before its "
                "successor is ready (maxUnavailable is 0): a rollout cannot start",
            )


RULE = Rule(
    "KB212",
    "surge-without-room",
    Severity.WARNING,
    __doc__,
    of_workload=_check,
    needs_cluster=True,
)
