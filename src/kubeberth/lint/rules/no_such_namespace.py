"""A term looks for pods in namespaces that there are not.

Names of namespaces are compared letter for letter, and a `namespaceSelector` looks at their labels;
each has its name as `kubernetes.io/metadata.name`.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.near import did_you_mean
from kubeberth.lint.pod_terms import PodTerm, pod_terms
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    known = world.namespaces
    if all(labels is None for labels in known.values()):
        return  # no namespace was told of, so there may be any
    for term in pod_terms(workload.spec, workload.namespace):
        for field in term.field.each("namespaces"):
            if field.text not in known:
                hint = did_you_mean(field.text, known)
                yield Problem(field, f"there is no namespace {field.text}{hint}")
        yield from _of_selector(term, world)


def _of_selector(term: PodTerm, world: World) -> Iterator[Problem]:
    selector = term.namespace_selector
    if selector.is_absent or selector.is_empty:
        return
    labels = [
        {"kubernetes.io/metadata.name": name, **(labels or {})}
        for name, labels in world.namespaces.items()
    ]
    if not any(map(selector.matches, labels)):
        yield Problem(selector.field, f"no namespace has {selector}", is_key=True)


RULE = Rule(
    "KB211",
    "no-such-namespace",
    Severity.WARNING,
    __doc__,
    of_workload=_check,
    needs_cluster=True,
)
