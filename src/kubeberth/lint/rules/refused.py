"""The API server would refuse the object.

What is wrong is said in the API server's words. Everything that `kubectl apply` would be told is
told here before: values out of range, fields that exclude each other, names that are none.

Admission is not asked: quotas, webhooks and policies of a cluster are not known here.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.library.field_lines import field_path
from kubeberth.lint.field import Field
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Subject
from kubeberth.lint.world import World


def _check(subject: Subject, world: World) -> Iterator[Problem]:
    found = subject.stored
    for field, body in found.faults if found is not None else ():
        where = f"{field}: " if field else ""
        yield Problem(Field(None, field_path(field)), f"{where}{body}")


RULE = Rule("KB001", "refused", Severity.ERROR, __doc__, of_object=_check)
