"""Edits for NodeResourcesFit: ask for less, or let pods leave that take what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from msgspec.structs import replace

from kubeberth.api.core import Container, Pod, PodSpec
from kubeberth.api.requests import effective_request, shown_amount, to_amounts
from kubeberth.placement.loads import unpack
from kubeberth.placement.obstacles import shortages
from kubeberth.placement.placed import PlacedPod
from kubeberth.placement.remedies.commands import delete_pod
from kubeberth.placement.remedies.edit import CHANGE_FIELD, EVICT_POD, Alternative, Edit
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState

# To ask for nothing would be four times as much of a change as to ask for hardly less.
_ALL_OF_IT = 6.0
_MAX_EVICTED = 3
_MIRROR = "kubernetes.io/config.mirror"
# Numbers are cut to so many parts of their size, so that they can be read.
_FINENESS = 20


def request_edits(
    state: ClusterState, pod: Pod, request: PodRequest, slot: int
) -> Iterator[Alternative]:
    """Yield what would make a pod and the free part of a node fit."""
    missing = list(shortages(state, request, slot))
    lowered = [_lower(pod, name, asked, free) for name, asked, free, _ in missing]
    if all(lowered):
        yield tuple(edit for edit in lowered if edit is not None)
    if all(asked <= there for _, asked, _, there in missing):
        needs = {state.resources.intern(name): asked - free for name, asked, free, _ in missing}
        victims = _enough(state, slot, needs)
        if victims:
            yield (evict(victims, state.node(slot).name),)


def evict(pods: tuple[PlacedPod, ...], where: str) -> Edit:
    """Return what lets pods leave."""
    keys = tuple(pod.key for pod in pods)
    lone = [pod.key for pod in pods if pod.request.meta.controller is None]
    never = f" (nothing makes {' and '.join(lone)} again)" if lone else ""
    return Edit(
        "evict-pod",
        f"let {' and '.join(keys)} leave {where}{never}",
        EVICT_POD + len(keys) - 1,
        evicts=keys,
        command="\n".join(map(delete_pod, keys)),
    )


def may_leave(placed: PlacedPod) -> bool:
    """Return whether a pod is not there for its node's sake."""
    meta = placed.request.meta
    owner = meta.controller
    return _MIRROR not in meta.annotations and (owner is None or owner.kind != "DaemonSet")


def nice_amount(resource: str, value: int) -> int:
    """Return a number, at most 5 % smaller, that people would write."""
    if resource == "cpu":
        step = _step(value, (1, 5, 10, 50, 100, 500, 1000, 2000, 5000, 10000))
    elif "/" in resource:
        step = 1
    else:
        step = _step(value, tuple(2**power for power in range(20, 40)))
    return value // step * step


def _step(value: int, steps: tuple[int, ...]) -> int:
    return max((step for step in steps if step * _FINENESS <= value), default=1)


def _lower(pod: Pod, resource: str, asked: int, free: int) -> Edit | None:
    """Return what makes a pod ask for what is free; None when that is nothing."""
    target = nice_amount(resource, free)
    if target <= 0 or resource == "pods":
        return None
    spec = _asking(pod.spec, resource, target)
    if spec is None or effective_request(replace(pod, spec=spec)).get(resource, 0) > free:
        return None

    def change(pod: Pod) -> Pod:
        return replace(pod, spec=_asking(pod.spec, resource, target) or pod.spec)

    amounts = f"{shown_amount(resource, target)} {resource}"
    text = f"ask for {amounts} instead of {shown_amount(resource, asked)}"
    share = 1 - target / asked
    return Edit("lower-request", text, CHANGE_FIELD + _ALL_OF_IT * share, on_pod=change)


def _asking(spec: PodSpec, resource: str, target: int) -> PodSpec | None:
    """Return a spec that asks for so much in all; None when its overhead alone is more."""
    target -= to_amounts(spec.overhead).get(resource, 0)
    if target <= 0:
        return None
    text = _quantity(resource, target)
    if spec.resources is not None and resource in spec.resources.requests:
        requests = {**spec.resources.requests, resource: text}
        return replace(spec, resources=replace(spec.resources, requests=requests))
    sidecars = sum(_of(c, resource) for c in spec.init_containers if c.is_sidecar)
    running = sum(_of(c, resource) for c in spec.containers) + sidecars
    containers = list(spec.containers)
    if running > target:
        largest = max(range(len(containers)), key=lambda i: _of(containers[i], resource))
        left = _of(containers[largest], resource) - (running - target)
        if left <= 0:
            return None
        containers[largest] = _with(containers[largest], resource, left)
    starting = tuple(
        _with(c, resource, target - sidecars)
        if not c.is_sidecar and _of(c, resource) + sidecars > target
        else c
        for c in spec.init_containers
    )
    return replace(spec, containers=tuple(containers), init_containers=starting)


def _of(container: Container, resource: str) -> int:
    return to_amounts(container.resources.requests).get(resource, 0)


def _with(container: Container, resource: str, value: int) -> Container:
    text = _quantity(resource, value)
    limits = container.resources.limits
    if "/" in resource or resource.startswith("hugepages-"):
        # What cannot be shared is asked for and limited alike.
        limits = {**limits, resource: text}
    requests = {**container.resources.requests, resource: text}
    resources = replace(container.resources, requests=requests, limits=limits)
    return replace(container, resources=resources)


def _quantity(resource: str, value: int) -> str:
    """Return an exact amount as a quantity."""
    if resource == "cpu":
        return shown_amount(resource, value)
    for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if value and value % size == 0 and "/" not in resource:
            return f"{value // size}{unit}"
    return str(value)


def _enough(state: ClusterState, slot: int, needs: dict[int, int]) -> tuple[PlacedPod, ...]:
    """Return the few pods, of little importance, that take as much as is missing on a node."""
    there = [
        (placed, unpack(placed.load, len(state.resources)))
        for placed in state.pods_on(state.node(slot).name)
        if may_leave(placed)
    ]
    chosen: list[PlacedPod] = []
    left = dict(needs)
    while left and there and len(chosen) < _MAX_EVICTED:
        best = min(there, key=partial(_rank, left))
        there.remove(best)
        chosen.append(best[0])
        left = {r: need - best[1][r] for r, need in left.items() if need > best[1][r]}
    return () if left else tuple(chosen)


def _rank(
    needs: dict[int, int], entry: tuple[PlacedPod, tuple[int, ...]]
) -> tuple[float, int, int, str]:
    """Return the order in which pods leave: who covers most, matters least, takes least."""
    placed, amounts = entry
    covered = sum(min(amounts[r] / need, 1.0) for r, need in needs.items())
    return -covered, placed.priority, sum(amounts[r] for r in needs), placed.key
