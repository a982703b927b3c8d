"""The linter: texts in, findings out.

text -> subjects; all subjects and the cluster -> world
subject, world -> problems of each rule -> findings, less what comments suppress
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from kubeberth.api.forgeable import shown_path
from kubeberth.errors import ManifestError
from kubeberth.library.field_lines import FieldLines, Place
from kubeberth.library.parsing import objects_of
from kubeberth.lint.field import Field, Path
from kubeberth.lint.finding import Edit, Finding
from kubeberth.lint.rule import Problem, Replacement, Rule
from kubeberth.lint.rules import RULES, suppression_of_nothing
from kubeberth.lint.selection import Selection
from kubeberth.lint.subject import Document, Subject
from kubeberth.lint.suppressions import Suppression, covering, suppressions_in
from kubeberth.lint.world import World

# So many findings of one rule in one object are enough to see what is wrong.
MOST_ALIKE = 50


@dataclass(frozen=True, slots=True)
class Settings:
    """What is asked of the linter.

    Parameters
    ----------
    cluster
        Objects of the cluster; None when none is known.
    allowed_labels
        Labels that may keep pods apart though nodes can set them.
    namespace
        Where objects go that say nothing themselves.
    """

    selection: Selection = field(default_factory=Selection)
    cluster: tuple[Document, ...] | None = None
    allowed_labels: tuple[str, ...] = ()
    namespace: str = "default"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Parameters
    ----------
    n_objects
        How many objects were looked at.
    suppressed
        What comments say is known, with the reasons given.
    """

    n_objects: int = 0
    findings: list[Finding] = field(default_factory=list)
    suppressed: list[tuple[Finding, str]] = field(default_factory=list)


class _Text:
    """A text, and what is known of it once it is asked for."""

    def __init__(self, content: str) -> None:
        self.content = content
        self.suppressions = suppressions_in(content)

    @cached_property
    def places(self) -> FieldLines:
        return FieldLines(self.content)


def lint(texts: Mapping[str, str], settings: Settings | None = None) -> Report:
    """Return what is wrong in texts, by name.

    Raises
    ------
    ManifestError
        A text is no manifest.
    """
    settings = settings or Settings()
    subjects = [
        subject for name, text in texts.items() for subject in _subjects(name, text, settings)
    ]
    world = World(subjects, settings.cluster, settings.allowed_labels)
    read = {name: _Text(text) for name, text in texts.items()}
    report, used = Report(len(subjects)), set[tuple[str, Suppression, str]]()
    for subject in subjects:
        if subject.is_controlled:
            continue  # what is wrong with it is wrong with what made it
        text = read[subject.file]
        for rule in _asked(settings.selection):
            for problem in _told(rule.check(subject, world)):
                finding, lines = _located(subject, rule, problem, text)
                known = covering(text.suppressions, rule.id, lines)
                if known is None:
                    report.findings.append(finding)
                else:
                    used.add((subject.file, known, rule.id))
                    report.suppressed.append((finding, known.reason))
    report.findings.extend(_unused(read, used, settings))
    report.findings.sort(key=lambda finding: finding.where)
    return report


def _asked(selection: Selection) -> Iterator[Rule]:
    return (rule for rule in RULES.values() if selection.includes(rule))


def _told(problems: Iterator[Problem]) -> Iterable[Problem]:
    """Return the first problems, without those that say the same of the same field."""
    told: dict[tuple[Path, str], Problem] = {}
    for problem in problems:
        if len(told) == MOST_ALIKE:
            problem = Problem(problem.field, f"{problem.message} (and there is more like it)")
            told[problem.field.path, problem.message] = problem
            break
        told[problem.field.path, problem.message] = problem
    return told.values()


def _subjects(name: str, text: str, settings: Settings) -> Iterator[Subject]:
    for manifest in objects_of(text, name):
        document = manifest.document
        for part in ("kind", "apiVersion"):
            if not isinstance(document.get(part), str):
                raise ManifestError(f"{manifest.source}: an object must have apiVersion and kind")
        yield Subject(Field(document), name, manifest.line, manifest.path, settings.namespace)


def _located(
    subject: Subject, rule: Rule, problem: Problem, text: _Text
) -> tuple[Finding, list[int]]:
    """Return a problem with its place, and the lines of all that it is part of."""
    path: Path = (*subject.prefix, *problem.field.path)
    start = subject.document_line
    finding = Finding(
        rule,
        problem.severity or rule.severity,
        problem.message,
        subject.file,
        text.places.place(start, path, is_key=problem.is_key),
        subject.kind,
        subject.root.at("metadata", "namespace").text,
        subject.name,
        shown_path(problem.field.path),
        _edit(subject, problem.replacement, text),
    )
    return finding, text.places.lines(start, path) or [start]


def _edit(subject: Subject, replacement: Replacement | None, text: _Text) -> Edit | None:
    if replacement is None:
        return None
    path: Path = (*subject.prefix, *replacement.field.path)
    place = text.places.place(subject.document_line, path, is_key=replacement.is_key)
    written = text.content[place.start : place.end]
    quote = written[:1] if written[:1] in ("'", '"') else ""
    old = replacement.field.path[-1] if replacement.is_key else replacement.field.value
    if written != f"{quote}{old}{quote}":
        return None  # an alias, a folded text: nothing to be replaced safely
    if replacement.is_key and replacement.text in _siblings(subject, replacement):
        return None  # which of the two values is meant is for people to say
    return Edit(place.start, place.end, f"{quote}{replacement.text}{quote}")


def _siblings(subject: Subject, replacement: Replacement) -> Container[str]:
    """Return the keys that stand beside one that is to be replaced."""
    found = subject.root.value
    for step in replacement.field.path[:-1]:
        found = found[step]
    return found  # type: ignore[no-any-return]


def _unused(
    texts: Mapping[str, _Text], used: set[tuple[str, Suppression, str]], settings: Settings
) -> Iterator[Finding]:
    rule = suppression_of_nothing.RULE
    if not settings.selection.includes(rule):
        return
    for name, text in texts.items():
        for suppression in text.suppressions:
            for message in _complaints(name, suppression, used, settings):
                place = Place(suppression.line, suppression.column)
                yield Finding(rule, rule.severity, message, name, place)


def _complaints(
    name: str,
    suppression: Suppression,
    used: Iterable[tuple[str, Suppression, str]],
    settings: Settings,
) -> Iterator[str]:
    if not suppression.ids:
        yield "name the rules to ignore, such as `# berth: ignore KB111 why`"
    for rule_id in suppression.ids:
        known = RULES.get(rule_id)
        if known is None:
            yield f"there is no rule {rule_id}"
            continue
        was_asked = settings.selection.includes(known) and (
            settings.cluster is not None or not known.needs_cluster
        )
        if was_asked and (name, suppression, rule_id) not in used:
            yield f"{rule_id} finds nothing here, so there is nothing to ignore"
