"""A plan as JUnit XML: a test case for each workload and each assertion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from kubeberth.planner.assertions import Checked
from kubeberth.planner.plan import Plan, Workload
from kubeberth.planner.reports.text import title
from kubeberth.planner.words import names, notes, warnings

_CONTROL = dict.fromkeys(code for code in range(32) if chr(code) not in "\t\n\r")


def to_junit(plan: Plan, checked: Sequence[Checked] = ()) -> str:
    """Return a plan as the report of a test run."""
    cases = [*_cases(plan), *((entry.text, "assertions", entry.why) for entry in checked)]
    failed = sum(bool(why) for _, _, why in cases)
    suite = ElementTree.Element(
        "testsuite", name="berth plan", tests=str(len(cases)), failures=str(failed), errors="0"
    )
    for name, group, why in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=group, name=_plain(name))
        if why:
            first = _plain(why.splitlines()[0])
            ElementTree.SubElement(case, "failure", message=first).text = _plain(why)
    if lines := [*warnings(plan.warnings), *notes(plan)]:
        ElementTree.SubElement(suite, "system-out").text = _plain("\n".join(lines))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _cases(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Yield the name of each case, its group, and why it fails; empty when it does not."""
    for workload in plan.workloads:
        yield f"{title(workload)} has its place", "workloads", _trouble(plan, workload)
    for stuck in plan.stuck:
        yield stuck.what, "plan", stuck.why


def _trouble(plan: Plan, workload: Workload) -> str:
    lines = [workload.rollout] if workload.rollout else []
    own = {
        pod.pod
        for pod in plan.pods_of(f"{workload.kind}/{workload.name}")
        if pod.pod.startswith(f"{workload.namespace}/") and not pod.was_pending
    }
    for group in plan.pending:
        pods = [pod for pod in group.pods if pod in own]
        if pods:
            lines.append(f"{names(pods)} pending: {group.message}")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return a text without the characters that XML cannot say."""
    return text.translate(_CONTROL)
