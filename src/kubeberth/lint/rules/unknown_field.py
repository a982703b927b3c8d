"""A field that its kind does not have.

The API server drops it, so whatever it should do is not done; kubectl refuses the object unless it
is told not to validate. Mostly it is misspelt, or stands one level too high or too deep.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.near import did_you_mean
from kubeberth.library.field_lines import field_path
from kubeberth.lint.answers import known_fields
from kubeberth.lint.field import Field
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Subject
from kubeberth.lint.world import World


def _check(subject: Subject, world: World) -> Iterator[Problem]:
    found = subject.stored
    for field in found.unknown_fields if found is not None else ():
        path = field_path(field)
        hint = did_you_mean(str(path[-1]), known_fields(subject, path[:-1]))
        yield Problem(Field(None, path), f"{field}: unknown field{hint}", is_key=True)


RULE = Rule("KB002", "unknown-field", Severity.ERROR, __doc__, of_object=_check)
