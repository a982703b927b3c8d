"""Edits for NodePorts: another host port, or let the pod leave that has it."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from kubeberth.api.core import Container, Pod
from kubeberth.placement.obstacles import port_holders
from kubeberth.placement.remedies.edit import CHANGE_FIELD, Alternative, Edit, with_spec
from kubeberth.placement.remedies.resource_edits import evict, may_leave
from kubeberth.placement.request import HostPort, PodRequest
from kubeberth.placement.state import ClusterState

_LAST_PORT = 65535


def port_edits(
    state: ClusterState, pod: Pod, request: PodRequest, slot: int
) -> Iterator[Alternative]:
    """Yield what would end the quarrel about host ports on a node."""
    holders = port_holders(state, request, slot)
    taken = {port for _, _, port in (*state.ports_in_use, *request.host_ports)}
    edits = [_move(port, taken) for port in dict.fromkeys(holders)]
    if all(edits):
        yield tuple(edit for edit in edits if edit is not None)
    pods = {pod.key: pod for found in holders.values() for pod in found}
    if pods and all(map(may_leave, pods.values())):
        yield (evict(tuple(pods.values()), state.node(slot).name),)


def _move(wanted: HostPort, taken: set[int]) -> Edit | None:
    _, protocol, port = wanted
    free = next((p for p in range(port + 1, _LAST_PORT + 1) if p not in taken), None)
    if free is None:
        return None

    def moved(container: Container) -> Container:
        ports = tuple(
            replace(entry, host_port=free)
            if (entry.host_port, entry.protocol or "TCP") == (port, protocol)
            else entry
            for entry in container.ports
        )
        return replace(container, ports=ports)

    def change(pod: Pod) -> Pod:
        return with_spec(
            pod,
            containers=tuple(map(moved, pod.spec.containers)),
            init_containers=tuple(map(moved, pod.spec.init_containers)),
        )

    text = f"use host port {free} instead of {port}"
    return Edit("change-host-port", text, CHANGE_FIELD, on_pod=change)
