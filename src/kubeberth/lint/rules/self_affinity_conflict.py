"""Pods must be together and apart in the same place.

With required affinity to themselves, replicas go where the first one is; with required
anti-affinity to themselves on the same topology key, no other may be there. One replica runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.node_labels import HOSTNAME
from kubeberth.lint.pod_terms import pod_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.self_terms import is_of_itself
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    if workload.replicas is not None and workload.replicas < 2:
        return
    own = [
        term
        for term in pod_terms(workload.spec, workload.namespace)
        if term.is_required and is_of_itself(workload, term)
    ]
    together = [term for term in own if not term.is_anti]
    for apart in (term for term in own if term.is_anti):
        for near in together:
            key, wide = near.topology_key.text, apart.topology_key.text
            # Those who share a node share everything else that nodes tell apart.
            if key and wide and (key in (wide, HOSTNAME)):
                yield Problem(
                    apart.topology_key,
                    f"required affinity keeps the pods in one {key}, and required anti-affinity "
                    f"keeps them out of each other's {wide}: only one can run",
                )


RULE = Rule("KB205", "self-affinity-conflict", Severity.ERROR, __doc__, of_workload=_check)
