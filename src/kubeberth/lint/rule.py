"""Rule: one thing that can be wrong, and Problem: one place where it is."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kubeberth.lint.field import Field
from kubeberth.lint.subject import Subject, Workload
from kubeberth.lint.world import World


class Severity(enum.IntEnum):
    """How bad a finding is.

    An error keeps pods from running or the object from being taken; a warning is hardly what was
    meant; information is worth knowing.
    """

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        """As it is printed."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Replacement:
    """A safe way to mend a problem: another text for the key or the value of a field."""

    field: Field
    text: str
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """What a rule has found.

    Parameters
    ----------
    field
        Where; if the field is not there, the nearest one on the way to it is shown.
    message
        What is wrong and what to do, without where it is.
    severity
        None for that of the rule.
    is_key
        Whether it is the key that is wrong, and not what stands behind it.
    """

    field: Field
    message: str
    severity: Severity | None = None
    is_key: bool = False
    replacement: Replacement | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong.

    Parameters
    ----------
    id
        Stays what it is for ever; people write it into their manifests.
    explanation
        The module's docstring: its first line says what is wrong, the rest why, and what to do.
    needs_cluster
        Whether there is nothing to say as long as no cluster is known.
    of_workload, of_object
        Find the problems; of what makes pods, or of any object.
    is_fixable
        Whether `--fix` can mend what is found.
    """

    id: str
    name: str
    severity: Severity
    explanation: str | None
    of_workload: Callable[[Workload, World], Iterator[Problem]] | None = None
    of_object: Callable[[Subject, World], Iterator[Problem]] | None = None
    needs_cluster: bool = False
    is_fixable: bool = False

    @property
    def summary(self) -> str:
        """What is wrong, in one line."""
        return (self.explanation or self.name).strip().partition("\n")[0]

    def check(self, subject: Subject, world: World) -> Iterator[Problem]:
        """Yield the problems of an object."""
        if self.needs_cluster and world.nodes is None:
            return
        if self.of_object is not None:
            yield from self.of_object(subject, world)
        if self.of_workload is not None and subject.workload is not None:
            yield from self.of_workload(subject.workload, world)
