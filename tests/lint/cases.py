"""Manifests with what is found in them.

`python -m tests.lint.cases` writes the findings anew, and the table of rules in docs/lint.md.

broken/NAME.yaml is what somebody might write, broken/NAME.txt what is said of it; the files in
sound/ are near to it, and nothing is said of them. The names begin with the rule that they are for.
A first line `# cluster: FILE` names the cluster to judge by.
"""

from __future__ import annotations

import re
from pathlib import Path

from kubeberth.library.manifests import read_manifests
from kubeberth.lint.linter import Report, Settings, lint
from kubeberth.lint.reports import catalogue, text
from kubeberth.lint.rules import RULES

DOCS = Path(__file__).parents[2] / "docs/lint.md"
BEGIN, END = "<!-- rules -->", "<!-- /rules -->"
CASES = Path(__file__).parent / "cases"
BROKEN = sorted((CASES / "broken").glob("*.yaml"))
SOUND = sorted((CASES / "sound").glob("*.yaml"))


def with_table(docs: str) -> str:
    """Return the page with the table of rules as it is now."""
    before, rest = docs.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{catalogue.markdown(RULES.values())}\n{END}{after}"


def report_of(case: Path) -> Report:
    """Return what is found in a case."""
    content = case.read_text()
    cluster = re.match(r"# cluster: (\S+)", content)
    known = None
    if cluster is not None:
        known = tuple(manifest.document for manifest in read_manifests(CASES / cluster[1]))
    return lint({case.name: content}, Settings(cluster=known))


def shown(report: Report) -> str:
    """Return findings as they are kept: each with the excerpt that people see."""
    lines = []
    for finding in report.findings:
        source = next(c for c in (*BROKEN, *SOUND) if c.name == finding.file).read_text()
        lines += [text.line(finding), *text.excerpt(finding, source.split("\n"))]
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    for broken in BROKEN:
        broken.with_suffix(".txt").write_text(shown(report_of(broken)))
    DOCS.write_text(with_table(DOCS.read_text()))
