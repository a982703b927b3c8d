"""`matchLabelKeys` or `mismatchLabelKeys` names a label that the pods do not have.

Such a key is ignored, so the term or constraint is wider than it looks. The controller adds
`pod-template-hash` to pods of Deployments, and `controller-revision-hash` to those of StatefulSets
and DaemonSets; other labels must be in the template.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.near import did_you_mean
from kubeberth.lint.field import Field
from kubeberth.lint.pod_terms import pod_terms, spread_constraints
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    there = {*workload.labels, *workload.added_labels}
    for key in _keys(workload):
        if key.text and key.text not in there:
            hint = did_you_mean(key.text, there)
            yield Problem(
                key, f"the pods of {workload.subject.shown} have no label {key.text}{hint}"
            )


def _keys(workload: Workload) -> Iterator[Field]:
    for term in pod_terms(workload.spec, workload.namespace):
        yield from term.field.each("matchLabelKeys")
        yield from term.field.each("mismatchLabelKeys")
    for constraint in spread_constraints(workload.spec):
        yield from constraint.match_label_keys.each()


RULE = Rule("KB213", "label-key-not-there", Severity.WARNING, __doc__, of_workload=_check)
