"""A term selects the labels of its own pods, but in other namespaces only.

`namespaces` and `namespaceSelector` replace the namespace of the pod, they do not add to it: who
names other namespaces and means the own one as well must name it, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.lint.pod_terms import pod_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    own = workload.namespace
    for term in pod_terms(workload.spec, own):
        selector = term.selector
        if selector.is_absent or selector.is_empty or not term.namespaces:
            continue
        if term.covers(own, world.namespaces.get(own)) or not selector.matches(workload.labels):
            continue
        yield Problem(
            term.field.at("namespaces"),
            f"the selector matches the pods themselves, but their namespace {own} is not named: "
            f"{term.word} does not hold among them",
            is_key=True,
        )


RULE = Rule("KB210", "own-namespace-left-out", Severity.WARNING, __doc__, of_workload=_check)
