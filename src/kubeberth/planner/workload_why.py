"""What is asked about, a pod or a workload, and the answer about all pods of a workload.

Apart from what works answers out: who asks a scheduler needs none of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from kubeberth.api.core import Pod
from kubeberth.api.near import did_you_mean
from kubeberth.api.scheme import PODS
from kubeberth.errors import UsageError
from kubeberth.placement.remedies.commands import workload_of
from kubeberth.placement.why import Why
from kubeberth.planner.kinds import WORKLOADS
from kubeberth.planner.plan import PlanStruct
from kubeberth.planner.words import names

_MAX_REASONS = 3


class WorkloadWhy(PlanStruct, frozen=True):
    """Why the pods of a workload are where they are.

    Parameters
    ----------
    placed
        Node by pod.
    pending
        The pods without a node.
    whys
        Of the pending pods one for each reason; of a placed one when none is pending.
    """

    workload: str
    placed: dict[str, str]
    pending: tuple[str, ...]
    whys: tuple[Why, ...]

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def kind_and_name(target: str) -> tuple[str, str]:
    """Return what `web-0`, `pod/web-0` or `deploy/web` means: the kind and the name.

    Raises
    ------
    UsageError
        It is of no kind that is, or makes, pods.
    """
    word, slash, name = target.rpartition("/")
    if not slash:
        return PODS.kind, target
    for resource in (PODS, *WORKLOADS):
        words = {resource.kind.lower(), resource.plural, *resource.short_names}
        if word.lower() in words:
            return resource.kind, name
    known = ", ".join(resource.kind.lower() for resource in WORKLOADS)
    raise UsageError(f'"{word}" is nothing that makes pods here; what does: {known}')


def belongs_to(pod: Pod, kind: str, name: str) -> bool:
    """Return whether a workload makes a pod, itself or through a ReplicaSet of its own."""
    owner = pod.metadata.controller
    is_direct = owner is not None and (owner.kind, owner.name) == (kind, name)
    return is_direct or workload_of(pod) == (kind, name)


def no_such_pod(name: str, namespace: str, pods: Sequence[Pod]) -> UsageError:
    """Return the error that says so, with what was probably meant: a workload, or another pod."""
    kinds = (resource.kind for resource in WORKLOADS)
    kind = next((k for k in kinds if any(belongs_to(pod, k, name) for pod in pods)), "")
    near = did_you_mean(name, (pod.metadata.name for pod in pods))
    hint = f"; did you mean {kind.lower()}/{name}?" if kind else near
    return UsageError(f'pods "{name}" not found in namespace {namespace}{hint}')


def why_workload(
    workload: str,
    pods: Iterable[Pod],
    reason_of: Callable[[Pod], str],
    why_of: Callable[[Pod], Why],
) -> WorkloadWhy:
    """Return why the pods of a workload are where they are.

    Parameters
    ----------
    reason_of
        What a pod has been told when it was last tried: of those that were told the same, one is
        asked about.

    Raises
    ------
    UsageError
        It has no pods.
    """
    pods = sorted(pods, key=lambda pod: pod.metadata.name)
    if not pods:
        raise UsageError(f"{workload} has no pods, or is not there")
    placed = {p.metadata.name: p.spec.node_name for p in pods if p.spec.node_name}
    pending = [pod for pod in pods if not pod.spec.node_name]
    asked = list({reason_of(pod): pod for pod in reversed(pending)}.values())[:_MAX_REASONS]
    whys = tuple(why_of(pod) for pod in asked or pods[:1])
    return WorkloadWhy(workload, placed, tuple(p.metadata.name for p in pending), whys)


def ended(pod: Pod) -> Why:
    """Return the answer about a pod that has ended."""
    status = pod.status
    told = ": ".join(filter(None, (status.reason, status.message)))
    message = f"it has ended ({status.phase}), and takes nothing any more" + (
        f"; {told}" if told else ""
    )
    return Why(pod.metadata.key, "ended", message, pod.spec.node_name)


def _lines(why: WorkloadWhy) -> Iterator[str]:
    n_pods = len(why.placed) + len(why.pending)
    counts = f"{n_pods} pod{'s' if n_pods != 1 else ''}, {len(why.placed)} with a node"
    yield f"{why.workload}: {counts}, {len(why.pending)} pending"
    nodes: dict[str, int] = {}
    for node in why.placed.values():
        nodes[node] = nodes.get(node, 0) + 1
    if nodes:
        shown = [f"{node} x{n}" if n > 1 else node for node, n in sorted(nodes.items())]
        yield f"  on {names(shown, 8)}"
    if why.pending:
        yield f"  pending: {names(why.pending, 8)}"
    for each in why.whys:
        yield ""
        yield str(each)
