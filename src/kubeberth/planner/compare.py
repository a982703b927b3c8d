"""Compare: what is otherwise in one plan than in another."""

from __future__ import annotations

from kubeberth.planner.plan import Plan, PlanStruct, Workload


class WorkloadChange(PlanStruct, frozen=True):
    """A workload whose pods land elsewhere.

    Parameters
    ----------
    moved
        How many pods are on other nodes.
    """

    kind: str
    namespace: str
    name: str
    moved: int
    placed: tuple[int, int]
    zones: tuple[dict[str, int], dict[str, int]]
    nodes_used: tuple[int, int]


class Comparison(PlanStruct, frozen=True):
    """Two plans side by side; of each pair the first is of the first plan.

    Parameters
    ----------
    nodes_used
        How many nodes have pods at all.
    fullest
        By resource, the share of the fullest node in percent.
    """

    placed: tuple[int, int]
    pending: tuple[int, int]
    preempted: tuple[int, int]
    nodes_used: tuple[int, int]
    fullest: dict[str, tuple[int, int]]
    workloads: tuple[WorkloadChange, ...]


def compare(one: Plan, other: Plan) -> Comparison:
    """Return what is otherwise in the second plan."""
    fullest = (_fullest(one), _fullest(other))
    return Comparison(
        (one.n_placed, other.n_placed),
        (one.n_pending, other.n_pending),
        (len(one.preempted), len(other.preempted)),
        (_n_used(one), _n_used(other)),
        {name: (share, fullest[1].get(name, 0)) for name, share in fullest[0].items()},
        tuple(_changes(one, other)),
    )


def _changes(one: Plan, other: Plan) -> list[WorkloadChange]:
    theirs = {(w.kind, w.namespace, w.name): w for w in other.workloads}
    pairs = [(w, theirs.get((w.kind, w.namespace, w.name))) for w in one.workloads]
    return [_change(a, b) for a, b in pairs if b is not None and a.nodes != b.nodes]


def _change(one: Workload, other: Workload) -> WorkloadChange:
    stay = sum(min(n, other.nodes.get(node, 0)) for node, n in one.nodes.items())
    return WorkloadChange(
        one.kind,
        one.namespace,
        one.name,
        max(one.placed, other.placed) - stay,
        (one.placed, other.placed),
        (one.zones, other.zones),
        (len(one.nodes), len(other.nodes)),
    )


def _n_used(plan: Plan) -> int:
    return sum(node.pods_after > 0 for node in plan.nodes)


def _fullest(plan: Plan) -> dict[str, int]:
    shares: dict[str, int] = {}
    for node in plan.nodes:
        for resource, use in node.resources.items():
            if use.allocatable and use.after:
                share = round(100 * use.after / use.allocatable)
                shares[resource] = max(share, shares.get(resource, 0))
    return shares
