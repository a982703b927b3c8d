"""More replicas than places, while no two of them may share one.

Pods that turn down each other by required anti-affinity take a node, or a zone, each. The replicas
for which there is none left stay pending. Make it preferred, take a topology key with more values,
or spread with `maxSkew`.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import pod_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.self_terms import is_of_itself
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    replicas = workload.replicas
    if replicas is None or replicas < 2:
        return
    nodes = world.eligible(workload)
    for term in pod_terms(workload.spec, workload.namespace):
        key = term.topology_key.text
        if not (term.is_anti and term.is_required and is_of_itself(workload, term)):
            continue
        if key not in world.label_keys or any(key not in node.labels for node in nodes):
            continue  # where the label is missing, nothing is kept apart
        n_domains = len({node.labels[key] for node in nodes})
        if nodes and replicas > n_domains:
            places = "place" if n_domains == 1 else "places"
            yield Problem(
                term.topology_key,
                f"{replicas} replicas may not share a {key}, and there are {n_domains} {places} "
                f"for them: {replicas - n_domains} will stay pending",
            )


RULE = Rule(
    "KB203",
    "more-replicas-than-domains",
    Severity.ERROR,
    __doc__,
    of_workload=_check,
    needs_cluster=True,
)
