"""Plan: what planning comes to, as data. `msgspec.json.encode(plan)` is what `-o json` prints.

Amounts are integers in base units: milli-CPU for `cpu`, bytes for `memory` and
`ephemeral-storage`, plain numbers for the rest.
"""

from __future__ import annotations

import msgspec

from kubeberth.placement.why import Obstacle


class PlanStruct(msgspec.Struct, frozen=True, rename="camel"):
    """Parent of the parts of a plan: immutable, camelCase as JSON."""


class Amount(PlanStruct, frozen=True):
    """One resource of a node: what there is, and what pods ask for before and after the plan."""

    allocatable: int
    before: int
    after: int


class NodeUse(PlanStruct, frozen=True):
    """A node and what pods take of it.

    Parameters
    ----------
    change
        `added`, `removed` or `drained`; empty for a node that stays as it was.
    closed
        `cordoned`, `not ready`, or both; empty for a node that is open to pods.
    """

    name: str
    zone: str
    resources: dict[str, Amount]
    pods_before: int
    pods_after: int
    change: str = ""
    closed: str = ""


class PlannedPod(PlanStruct, frozen=True):
    """A pod that the plan gives a node, or has none for.

    Parameters
    ----------
    pod
        `namespace/name`; what stands after the last hyphen may be drawn.
    workload
        `Kind/name` of what it is a pod of; its own for a pod on its own.
    node
        Where it goes; None while it is pending.
    message
        Why it is pending, in kube-scheduler's words.
    was_pending
        Whether the cluster had it, and no node for it, before the plan.
    """

    pod: str
    workload: str
    node: str | None = None
    zone: str = ""
    priority: int = 0
    message: str = ""
    was_pending: bool = False


class Pending(PlanStruct, frozen=True):
    """Pods of a workload that are pending for the same reasons.

    Parameters
    ----------
    obstacles
        What keeps the first of them off each node; empty when it was not even tried, or when there
        are so many groups that only the first are looked into.
    """

    workload: str
    pods: tuple[str, ...]
    message: str
    obstacles: tuple[Obstacle, ...] = ()


class Workload(PlanStruct, frozen=True):
    """What makes pods, as it stands at the end.

    Parameters
    ----------
    wanted, placed, pending
        How many pods it is to have, has on nodes, and has without one.
    zones, nodes
        How many of its pods are in each zone and on each node.
    rollout
        Why its rollout does not end; empty when it does.
    """

    kind: str
    namespace: str
    name: str
    wanted: int
    placed: int
    pending: int
    zones: dict[str, int]
    nodes: dict[str, int]
    rollout: str = ""

    @property
    def skew(self) -> int:
        """The difference between the zones with the most and the fewest of its pods."""
        return max(self.zones.values(), default=0) - min(self.zones.values(), default=0)


class Removed(PlanStruct, frozen=True):
    """A pod that has to go.

    Parameters
    ----------
    why
        `preempted`, `evicted`, `drained`, or `lost` with its node.
    by
        The pod for whose sake it is preempted, or the taint for which it is evicted; empty
        otherwise.
    returns
        Whether something makes another one in its place.
    """

    pod: str
    workload: str
    node: str
    why: str
    priority: int = 0
    by: str = ""
    returns: bool = True


class Stuck(PlanStruct, frozen=True):
    """Something that does not get done, and why: a drain, a controller's work."""

    what: str
    why: str


class Uncalled(PlanStruct, frozen=True):
    """Webhooks, or an admission policy, that a server would ask and a plan does not.

    Parameters
    ----------
    about
        What it is not asked about; empty when it is not asked at all.
    """

    kind: str
    name: str
    about: str = ""


class Warned(PlanStruct, frozen=True):
    """What a server warns of an object of the manifests that it takes all the same.

    Parameters
    ----------
    where
        `file:line` of its manifest.
    """

    where: str
    message: str


class Plan(PlanStruct, frozen=True):
    """Where pods land.

    Parameters
    ----------
    pods
        Those that the plan has given a node, in that order, then those that are pending.
    workloads
        Those that the manifests or questions concern, and those with pods in `pods`.
    removed
        Pods that had to go, in order.
    stuck
        What does not get done.
    unchanged
        Objects of the manifests that the cluster has already, and that are left as they are.
    passed_over
        How many objects of which other kinds were passed over.
    left_out
        Objects of a Helm chart that are not made when it is installed, and when they are.
    uncalled
        Webhooks and admission policies of the cluster that have no say here.
    unread
        What of the cluster may not be read, and so is not in here, a line each.
    warnings
        What a server says of the manifests to whoever applies them.
    came_to_rest
        False when controllers go on undoing each other's work, so that all this is but a moment.
    """

    nodes: tuple[NodeUse, ...]
    pods: tuple[PlannedPod, ...]
    pending: tuple[Pending, ...]
    workloads: tuple[Workload, ...]
    removed: tuple[Removed, ...] = ()
    stuck: tuple[Stuck, ...] = ()
    unchanged: tuple[str, ...] = ()
    passed_over: dict[str, int] = {}
    left_out: tuple[str, ...] = ()
    uncalled: tuple[Uncalled, ...] = ()
    unread: tuple[str, ...] = ()
    warnings: tuple[Warned, ...] = ()
    came_to_rest: bool = True

    @property
    def n_placed(self) -> int:
        """How many pods the plan gives a node."""
        return sum(pod.node is not None for pod in self.pods)

    @property
    def n_pending(self) -> int:
        """How many pods have none that the plan concerns; not those that had none before."""
        return sum(pod.node is None and not pod.was_pending for pod in self.pods)

    @property
    def preempted(self) -> tuple[Removed, ...]:
        """The pods that are preempted."""
        return tuple(pod for pod in self.removed if pod.why == "preempted")

    @property
    def is_good(self) -> bool:
        """Whether everything has its place and gets done."""
        is_done = not any(workload.rollout for workload in self.workloads)
        return not self.n_pending and not self.stuck and is_done and self.came_to_rest

    def pods_of(self, workload: str) -> list[PlannedPod]:
        """Return the planned pods of `Kind/name`."""
        return [pod for pod in self.pods if pod.workload == workload]
