"""Assertions: conditions on a plan, in words.

    no pod pending                      no pod of web pending
    no preemption                       no pod lost
    no rollout stuck
    web spread over >= 3 zones          web spread over >= 2 nodes
    web skew <= 1                       the most and the fewest pods of any zone
    web placed >= 3                     web per node <= 2          web per zone <= 4
    node utilisation cpu < 80%          every node; also zone, and cluster
    nodes used <= 4                     how many nodes have pods at all

`web` is the name of a workload; `deployment/web`, and `deployment/team/web`, say which one.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from kubeberth.errors import UsageError
from kubeberth.planner.plan import Amount, Plan, PlanStruct, Workload
from kubeberth.planner.words import names, of_zones

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "=": operator.eq,
}
_BOUND = r"(?P<sign>>=|<=|==|=|>|<)\s*(?P<number>\d+(?:\.\d+)?)"
_NAME = r"(?P<name>[A-Za-z0-9][-./A-Za-z0-9]*)"


class Checked(PlanStruct, frozen=True):
    """A condition, and whether it holds; `why` says what is otherwise."""

    text: str
    holds: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Assertion:
    """A condition on a plan."""

    text: str
    _failures: Callable[[Plan], Iterable[str]]

    def check(self, plan: Plan) -> Checked:
        """Return whether it holds.

        Raises
        ------
        UsageError
            It is about a workload that the plan does not have, or about several.
        """
        failures = list(self._failures(plan))
        return Checked(self.text, not failures, names(failures))


def parse_assertion(text: str) -> Assertion:
    """Return the condition that a text states.

    Raises
    ------
    UsageError
        It states none.
    """
    words = " ".join(text.split())
    for pattern, build in _FORMS:
        match = pattern.fullmatch(words)
        if match is not None:
            return Assertion(words, build(match))
    raise UsageError(
        f'cannot understand the assertion "{text}"; such as: "no pod pending", "no preemption", '
        '"web spread over >= 3 zones", "web skew <= 1", "node utilisation cpu < 80%"'
    )


Failures = Callable[[Plan], Iterable[str]]


def _none_pending(match: re.Match[str]) -> Failures:
    name = match["name"]

    def failures(plan: Plan) -> Iterator[str]:
        wanted = None if name is None else _workload(plan, name)
        for group in plan.pending:
            if wanted is None or group.workload == f"{wanted.kind}/{wanted.name}":
                yield from group.pods

    return failures


def _none_removed(why: str) -> Callable[[re.Match[str]], Failures]:
    def build(match: re.Match[str]) -> Failures:
        return lambda plan: (f"{pod.pod} on {pod.node}" for pod in plan.removed if pod.why == why)

    return build


def _none_stuck(match: re.Match[str]) -> Failures:
    return lambda plan: (f"{w.name}: {w.rollout}" for w in plan.workloads if w.rollout)


def _spread(match: re.Match[str]) -> Failures:
    name, unit, holds = match["name"], match["unit"], _bound(match)

    def failures(plan: Plan) -> Iterator[str]:
        found = _workload(plan, name)
        counts = found.zones if unit == "zone" else found.nodes
        used = [place for place, n_pods in counts.items() if n_pods]
        if not holds(len(used)):
            yield f"it is on {len(used)}: {names(used) or 'none'}"

    return failures


def _skew(match: re.Match[str]) -> Failures:
    name, holds = match["name"], _bound(match)

    def failures(plan: Plan) -> Iterator[str]:
        found = _workload(plan, name)
        if not holds(found.skew):
            yield f"it is {found.skew}: {_counts(found.zones)}"

    return failures


def _placed(match: re.Match[str]) -> Failures:
    name, holds = match["name"], _bound(match)

    def failures(plan: Plan) -> Iterator[str]:
        n_placed = _workload(plan, name).placed
        if not holds(n_placed):
            yield f"it is {n_placed}"

    return failures


def _per_place(match: re.Match[str]) -> Failures:
    name, unit, holds = match["name"], match["unit"], _bound(match)

    def failures(plan: Plan) -> Iterator[str]:
        found = _workload(plan, name)
        counts = found.zones if unit == "zone" else found.nodes
        yield from (f"{place} has {n}" for place, n in counts.items() if not holds(n))

    return failures


def _utilisation(match: re.Match[str]) -> Failures:
    scope, resource, holds = match["scope"], match["resource"], _bound(match)

    def failures(plan: Plan) -> Iterator[str]:
        for place, use in _uses(plan, scope, resource):
            share = 100 * use.after / use.allocatable if use.allocatable else 0.0
            if not holds(share):
                yield f"{place} is at {share:.0f}%"

    return failures


def _uses(plan: Plan, scope: str, resource: str) -> Iterator[tuple[str, Amount]]:
    if scope == "node":
        found: Mapping[str, Mapping[str, Amount]] = {
            node.name: node.resources for node in plan.nodes if node.change != "removed"
        }
    else:
        found = of_zones(plan.nodes)
    uses = [
        (place, resources[resource]) for place, resources in found.items() if resource in resources
    ]
    if not uses:
        raise UsageError(f'no node has the resource "{resource}"')
    if scope == "cluster":
        allocatable = sum(use.allocatable for _, use in uses)
        uses = [("the cluster", Amount(allocatable, 0, sum(use.after for _, use in uses)))]
    yield from uses


def _nodes_used(match: re.Match[str]) -> Failures:
    holds = _bound(match)

    def failures(plan: Plan) -> Iterator[str]:
        n_used = sum(node.pods_after > 0 for node in plan.nodes)
        if not holds(n_used):
            yield f"they are {n_used}"

    return failures


def _bound(match: re.Match[str]) -> Callable[[float], bool]:
    compare, bound = _COMPARISONS[match["sign"]], float(match["number"])
    return lambda value: compare(value, bound)


def _workload(plan: Plan, name: str) -> Workload:
    parts = name.split("/")
    found = [
        w
        for w in plan.workloads
        if w.name == parts[-1]
        and (len(parts) < 2 or w.kind.lower() == parts[0].lower())
        and (len(parts) < 3 or w.namespace == parts[1])
    ]
    if not found:
        known = names([w.name for w in plan.workloads], 10) or "none"
        raise UsageError(f'the plan has no workload called "{name}"; it has: {known}')
    if len(found) > 1:
        which = ", ".join(f"{w.kind.lower()}/{w.namespace}/{w.name}" for w in found)
        raise UsageError(f'"{name}" may be any of {which}; say which one')
    return found[0]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{place} {n}" for place, n in counts.items())


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Failures]], ...] = tuple(
    (re.compile(pattern), build)
    for pattern, build in (
        (rf"no pods?(?: of {_NAME})? (?:is |are )?pending", _none_pending),
        (r"no preemptions?|no pods? (?:is |are )?preempted", _none_removed("preempted")),
        (r"no evictions?|no pods? (?:is |are )?evicted", _none_removed("evicted")),
        (r"no pods? (?:is |are )?lost", _none_removed("lost")),
        (r"no rollouts? (?:is |are )?stuck", _none_stuck),
        (rf"{_NAME} (?:is )?spread over {_BOUND} (?P<unit>zone|node)s?", _spread),
        (rf"{_NAME} skew {_BOUND}", _skew),
        (rf"{_NAME} placed {_BOUND}", _placed),
        (rf"{_NAME} per (?P<unit>zone|node) {_BOUND}", _per_place),
        (
            rf"(?P<scope>node|zone|cluster) utili[sz]ation (?P<resource>\S+) {_BOUND}\s*%",
            _utilisation,
        ),
        (rf"nodes used {_BOUND}", _nodes_used),
    )
)
