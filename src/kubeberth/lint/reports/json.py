"""JSON: a list of findings, for programs."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from kubeberth.lint.finding import Finding


class _Finding(msgspec.Struct, rename="camel"):
    rule: str
    rule_name: str
    severity: str
    message: str
    file: str
    line: int
    column: int
    kind: str
    namespace: str
    name: str
    field: str
    fixable: bool


def render(findings: Iterable[Finding]) -> str:
    """Return the findings as JSON."""
    shown = [
        _Finding(
            rule=finding.rule.id,
            rule_name=finding.rule.name,
            severity=finding.severity.word,
            message=finding.message,
            file=finding.file,
            line=finding.place.line,
            column=finding.place.column,
            kind=finding.kind,
            namespace=finding.namespace,
            name=finding.name,
            field=finding.field,
            fixable=finding.edit is not None,
        )
        for finding in findings
    ]
    return msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()
