"""GitHub: workflow commands that annotate lines of a pull request.

Form: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from kubeberth.lint.finding import Finding
from kubeberth.lint.rule import Severity

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def line(finding: Finding) -> str:
    """Return the command of a finding."""
    place, rule = finding.place, finding.rule
    properties = {
        "file": finding.file,
        "line": str(place.line),
        "col": str(place.column),
        "title": f"{rule.id} {rule.name}",
    }
    said = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{_COMMANDS[finding.severity]} {said}::{_data(finding.text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
