"""Finding: a problem, the rule that found it, and the place in a text where it is."""

from __future__ import annotations

from dataclasses import dataclass

from kubeberth.library.field_lines import Place
from kubeberth.lint.rule import Rule, Severity


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a text: what stands between two offsets gives way to something else."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem and its place.

    Parameters
    ----------
    kind, namespace, name
        The object; all empty for what is found outside of any.
    field
        Path of the field, as messages name it.
    edit
        What `--fix` does about it.
    """

    rule: Rule
    severity: Severity
    message: str
    file: str
    place: Place
    kind: str = ""
    namespace: str = ""
    name: str = ""
    field: str = ""
    edit: Edit | None = None

    @property
    def object(self) -> str:
        """The object as messages name it."""
        return f"{self.kind} {self.name}".strip()

    @property
    def where(self) -> tuple[str, int, int, str]:
        """By what findings are sorted."""
        return (self.file, self.place.line, self.place.column, self.rule.id)

    @property
    def text(self) -> str:
        """What is wrong, and of which object."""
        return f"{self.object}: {self.message}" if self.object else self.message
