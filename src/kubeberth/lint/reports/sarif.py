"""SARIF 2.1.0: findings as code scanning tools exchange them.

Form: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import msgspec

from kubeberth import __version__
from kubeberth.lint.finding import Edit, Finding
from kubeberth.lint.linter import Report
from kubeberth.lint.rule import Rule, Severity

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def render(report: Report, rules: Iterable[Rule]) -> str:
    """Return a log of one run.

    Parameters
    ----------
    rules
        All that were asked, whether they found something or not.
    """
    every = list(rules)
    index = {rule.id: position for position, rule in enumerate(every)}
    results = [_result(finding, index) for finding in report.findings]
    results += [
        {
            **_result(finding, index),
            "suppressions": [{"kind": "inSource", "justification": reason}],
        }
        for finding, reason in report.suppressed
    ]
    driver = {"name": "berth lint", "version": __version__, "rules": list(map(_rule, every))}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return msgspec.json.format(msgspec.json.encode(log), indent=2).decode()


def _rule(rule: Rule) -> dict[str, Any]:
    explanation = (rule.explanation or rule.name).strip()
    return {
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": explanation},
        "help": {"text": explanation},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(finding: Finding, index: dict[str, int]) -> dict[str, Any]:
    artifact = {"uri": _uri(finding.file)}
    result: dict[str, Any] = {
        "ruleId": finding.rule.id,
        "ruleIndex": index[finding.rule.id],
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.text},
        "locations": [
            {"physicalLocation": {"artifactLocation": artifact, "region": _region(finding)}}
        ],
    }
    if finding.field:
        named = {"fullyQualifiedName": f"{finding.object}: {finding.field}"}
        result["locations"][0]["logicalLocations"] = [named]
    if finding.edit is not None:
        result["fixes"] = [_fix(artifact, finding.edit)]
    return result


def _region(finding: Finding) -> dict[str, int]:
    place = finding.place
    return {
        "startLine": place.line,
        "startColumn": place.column,
        "charOffset": place.start,
        "charLength": place.end - place.start,
    }


def _fix(artifact: dict[str, str], edit: Edit) -> dict[str, Any]:
    replacement = {
        "deletedRegion": {"charOffset": edit.start, "charLength": edit.end - edit.start},
        "insertedContent": {"text": edit.text},
    }
    return {
        "description": {"text": f"write {edit.text}"},
        "artifactChanges": [{"artifactLocation": artifact, "replacements": [replacement]}],
    }


def _uri(file: str) -> str:
    path = PurePosixPath(file)
    quoted = quote(str(path), safe="/")
    return f"file://{quoted}" if path.is_absolute() else quoted
