"""What the pods of a node have, as the kubelet's pod-resources API tells it.

https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/
The messages `ListPodResourcesResponse` and `AllocatableResourcesResponse` of its API v1 in the JSON
form of protobuf, in which 64-bit integers are strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubeberth.api.core import Pod
from kubeberth.topology.devices import DevicePlugin
from kubeberth.topology.layout import Layout
from kubeberth.topology.managers import Allocations, Managers
from kubeberth.topology.masks import Mask, members
from kubeberth.topology.memory_tables import Block

Document = dict[str, Any]


def pod_resources(layout: Layout, allocations: Allocations, pods: Iterable[Pod]) -> Document:
    """Return what each pod has, and what a node has to give.

    Parameters
    ----------
    pods
        The pods of the node that have not ended.
    """
    managers, empty = layout.start()
    return {
        "podResources": [_pod(pod, layout, allocations) for pod in pods],
        "allocatable": _allocatable(layout, managers, empty),
    }


def _pod(pod: Pod, layout: Layout, allocations: Allocations) -> Document:
    sidecars = [container for container in pod.spec.init_containers if container.is_sidecar]
    return {
        "name": pod.metadata.name,
        "namespace": pod.metadata.namespace,
        "containers": [
            _container(pod.metadata.uid, container.name, layout, allocations)
            for container in (*sidecars, *pod.spec.containers)
        ],
    }


def _container(uid: str, name: str, layout: Layout, allocations: Allocations) -> Document:
    cpus = allocations.cpus.assigned.get(uid, {}).get(name, ())
    blocks = allocations.memory.blocks.get(uid, {}).get(name, ())
    devices = allocations.devices.held.get(uid, {}).get(name, {})
    entry: Document = {"name": name}
    if devices:
        entry["devices"] = list(_devices(layout.plugins, devices))
    if cpus:
        entry["cpuIds"] = [str(cpu) for cpu in sorted(cpus)]
    if blocks:
        entry["memory"] = [_block(block) for block in blocks]
    return entry


def _devices(
    plugins: Mapping[str, DevicePlugin], held: Mapping[str, Iterable[str]]
) -> Iterable[Document]:
    for resource, ids in sorted(held.items()):
        plugin = plugins.get(resource)
        for id_ in sorted(ids):
            device = plugin.devices.get(id_) if plugin is not None else None
            entry: Document = {"resourceName": resource, "deviceIds": [id_]}
            if device is not None and device.mask:
                entry["topology"] = _topology(device.mask)
            yield entry


def _block(block: Block) -> Document:
    return {
        "memoryType": block.type,
        "size": str(block.size_bytes),
        "topology": _topology(block.mask),
    }


def _topology(mask: Mask) -> Document:
    return {"nodes": [{"ID": str(numa_id)} for numa_id in members(mask)]}


def _allocatable(layout: Layout, managers: Managers, empty: Allocations) -> Document:
    cpus = empty.cpus.shared - managers.cpus.reserved if managers.cpus is not None else ()
    memory = [
        _block(Block(1 << numa_id, type_, stock.allocatable))
        for numa_id, table in empty.memory.tables.items()
        for type_, stock in table.stocks.items()
        if stock.allocatable
    ]
    healthy = {resource: plugin.healthy for resource, plugin in layout.plugins.items()}
    return {
        "devices": list(_devices(layout.plugins, healthy)),
        "cpuIds": [str(cpu) for cpu in sorted(cpus)],
        "memory": memory,
    }
