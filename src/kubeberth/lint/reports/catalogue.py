"""The rules as tables: for people at a terminal, and for the documentation."""

from __future__ import annotations

from collections.abc import Iterable

from kubeberth.lint.rule import Rule


def table(rules: Iterable[Rule]) -> str:
    """Return a line for each rule: id, severity, what it needs, name and summary."""
    return "\n".join(
        f"{rule.id}  {rule.severity.word:<7}  {'cluster' if rule.needs_cluster else '':<7}  "
        f"{rule.name}: {rule.summary}"
        for rule in rules
    )


def markdown(rules: Iterable[Rule]) -> str:
    """Return the rules as a Markdown table."""
    rows = [
        f"| {rule.id} | `{rule.name}` | {rule.severity.word} | {_notes(rule)} | {rule.summary} |"
        for rule in rules
    ]
    head = ["| id | name | severity | | what is wrong |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def explanation(rule: Rule) -> str:
    """Return all that there is to say of a rule."""
    notes = [f"Severity: {rule.severity.word}."]
    if rule.needs_cluster:
        notes.append("Needs --cluster.")
    if rule.is_fixable:
        notes.append("--fix mends it.")
    return f"{rule.id} {rule.name}\n\n{(rule.explanation or '').strip()}\n\n{' '.join(notes)}"


def _notes(rule: Rule) -> str:
    notes = ("cluster" if rule.needs_cluster else "", "fix" if rule.is_fixable else "")
    return ", ".join(filter(None, notes))
