"""Fixes: edits applied to a text, which stays as it is everywhere else."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from kubeberth.lint.finding import Edit, Finding


def fixed(text: str, findings: Iterable[Finding]) -> tuple[str, int]:
    """Return a text with the edits of findings in it applied, and how many these were."""
    edits = {finding.edit for finding in findings if finding.edit is not None}
    done = 0
    end = len(text)
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        if edit.end > end:
            continue  # it overlaps one that has been applied
        text = _applied(text, edit)
        end, done = edit.start, done + 1
    return text, done


def diff(name: str, old: str, new: str) -> str:
    """Return the difference as `patch` reads it; empty when there is none."""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True),
        new.splitlines(keepends=True),
        f"a/{name.lstrip('/')}",
        f"b/{name.lstrip('/')}",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _applied(text: str, edit: Edit) -> str:
    return text[: edit.start] + edit.text + text[edit.end :]
