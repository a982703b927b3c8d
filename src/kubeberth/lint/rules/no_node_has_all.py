"""Each requirement is met by some node, but no node meets them together.

The node selector and the node affinity must both hold, and so must all expressions of one term;
only the terms under `nodeSelectorTerms` are alternatives.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from kubeberth.lint.requirements import Asked, alternatives, conflict
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    terms = alternatives(workload.spec)
    if not terms or not world.nodes or world.candidates(workload):
        return
    for term in terms:
        alone_unmet = any(not _meet(world, (asked,)) for asked in term.asked)
        if alone_unmet or conflict(term.asked):
            continue  # told by the rules that are about these
        culprits = _smallest_conflict(world, term.asked)
        yield Problem(
            culprits[-1].key,
            f"no node has {' and '.join(map(str, culprits))} together, though each is on some node",
        )


def _meet(world: World, asked: tuple[Asked, ...]) -> bool:
    return any(
        all(one.requirement.matches(node.labels) for one in asked) for node in world.nodes or ()
    )


def _smallest_conflict(world: World, asked: tuple[Asked, ...]) -> tuple[Asked, ...]:
    pairs = (pair for pair in combinations(asked, 2) if not _meet(world, pair))
    return next(pairs, asked)


RULE = Rule(
    "KB103", "no-node-has-all", Severity.ERROR, __doc__, of_workload=_check, needs_cluster=True
)
