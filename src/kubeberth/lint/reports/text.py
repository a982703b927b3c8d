"""Text: a line for each finding, as compilers write theirs, and an excerpt for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from kubeberth.lint.finding import Finding
from kubeberth.lint.rule import Severity

# Wider lines than this are cut off.
_WIDTH = 160


def line(finding: Finding) -> str:
    """Return a finding in one line."""
    place = finding.place
    where = f"{finding.file}:{place.line}:{place.column}"
    return f"{where}: {finding.severity.word}: {finding.rule.id}: {finding.text}"


def excerpt(finding: Finding, lines: Sequence[str]) -> list[str]:
    """Return the line that a finding is about, and under it a mark where it is."""
    place = finding.place
    if not 0 < place.line <= len(lines):
        return []
    shown = lines[place.line - 1].replace("\t", " ")[:_WIDTH]
    length = max(1, min(place.end - place.start, len(shown) - place.column + 1))
    margin = f"{place.line:>5} | "
    bar = " " * (len(margin) - 2) + "| "
    return [margin + shown, f"{bar}{' ' * (place.column - 1)}{'^' * length}"]


def summary(findings: Iterable[Finding], n_files: int) -> str:
    """Return how much was found."""
    counts = Counter(finding.severity for finding in findings)
    words = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    parts = [
        f"{counts[severity]} {word}{'s' * (counts[severity] != 1)}"
        for severity, word in words.items()
        if counts[severity]
    ]
    files = f"{n_files} file{'s' * (n_files != 1)}"
    return f"{', '.join(parts) or 'nothing'} found in {files}"


def lines_of(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the lines of each text."""
    return {name: text.split("\n") for name, text in texts.items()}
