"""All nodes that are selected have taints that the pods do not tolerate.

Labels say where pods want to go, tolerations where they may. Nodes that are set apart mostly have
both, and pods meant for them need both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubeberth.api.near import listed
from kubeberth.api.taints import shown_taint
from kubeberth.lint.requirements import alternatives
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.tolerations import tolerations, untolerated
from kubeberth.lint.world import KnownNode, World


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    terms = alternatives(workload.spec)
    nodes = world.candidates(workload)
    tolerated = tolerations(workload.spec)
    in_the_way = [untolerated(node.taints, tolerated) for node in nodes]
    if not nodes or not all(in_the_way):
        return
    taints = listed({shown_taint(taint) for taints in in_the_way for taint in taints})
    field = terms[0].field if terms else workload.spec
    message = f"{_shown(nodes, bool(terms))} taints that are not tolerated: {taints}"
    yield Problem(field, message, is_key=True)


def _shown(nodes: Sequence[KnownNode], are_selected: bool) -> str:
    selected = " that match" if are_selected else ""
    if len(nodes) == 1:
        [node] = nodes
        return f"the only node{selected and ' that matches'}, {node.name}, has"
    return f"all {len(nodes)} nodes{selected} have"


RULE = Rule(
    "KB403",
    "selected-nodes-tainted",
    Severity.ERROR,
    __doc__,
    of_workload=_check,
    needs_cluster=True,
)
