"""All controllers in one process: one cache, one client, one set of informers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubeberth.api.core import decode_namespace, decode_node, decode_pod
from kubeberth.api.scheme import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    REPLICA_SETS,
    RESOURCES,
    STORAGE_CLASSES,
    Resource,
)
from kubeberth.api.storage import (
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    decode_storage,
)
from kubeberth.api.workloads import (
    ConfigMap,
    decode_config_map,
    decode_deployment,
    decode_lease,
    decode_object,
    decode_replica_set,
)
from kubeberth.client.client import Client
from kubeberth.client.informer import Change, Informer
from kubeberth.client.recorder import EventRecorder
from kubeberth.clock import Clock, SystemClock
from kubeberth.controllers.bootstrap import ROOT_CA, RootCAReconciler, ServiceAccountReconciler
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.controller import Controller, Reconciler
from kubeberth.controllers.deployment import DeploymentReconciler
from kubeberth.controllers.executor import Executor
from kubeberth.controllers.garbage import GarbageReconciler
from kubeberth.controllers.namespace import NamespaceReconciler
from kubeberth.controllers.node_lifecycle import NodeLifecycleReconciler
from kubeberth.controllers.pod_gc import TERMINATED_THRESHOLD, PodGCReconciler
from kubeberth.controllers.replica_set import ReplicaSetReconciler
from kubeberth.controllers.taint_eviction import TaintEvictionReconciler
from kubeberth.controllers.volumes import ClaimReconciler, VolumeReconciler


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """What can be set about the controllers.

    Parameters
    ----------
    root_ca
        The cluster's CA as PEM, published in every namespace.
    workers
        How many keys each controller works on at a time.
    terminated_pod_threshold
        How many ended pods are kept; 0 keeps all.
    """

    root_ca: str = ""
    workers: int = 8
    terminated_pod_threshold: int = TERMINATED_THRESHOLD


def reconcilers(settings: ControllerSettings) -> list[Reconciler]:
    """Return every controller there is."""
    return [
        DeploymentReconciler(),
        ReplicaSetReconciler(),
        GarbageReconciler(),
        NamespaceReconciler(),
        ServiceAccountReconciler(),
        RootCAReconciler(settings.root_ca),
        PodGCReconciler(settings.terminated_pod_threshold),
        NodeLifecycleReconciler(),
        TaintEvictionReconciler(),
        VolumeReconciler(),
        ClaimReconciler(),
    ]


def _decode_config_map(raw: bytes) -> ConfigMap:
    """Keep the data of the one config map that a controller compares."""
    config_map = decode_config_map(raw)
    if config_map.metadata.name == ROOT_CA:
        return config_map
    return ConfigMap(metadata=config_map.metadata)


DECODERS: dict[Resource, Callable[[bytes], Any]] = {
    CONFIG_MAPS: _decode_config_map,
    DEPLOYMENTS: decode_deployment,
    LEASES: decode_lease,
    NAMESPACES: decode_namespace,
    NODES: decode_node,
    PODS: decode_pod,
    PERSISTENT_VOLUMES: decode_storage[PersistentVolume],
    PERSISTENT_VOLUME_CLAIMS: decode_storage[PersistentVolumeClaim],
    REPLICA_SETS: decode_replica_set,
    STORAGE_CLASSES: decode_storage[StorageClass],
}

# Garbage collection needs to know everything that can own or be owned; events are neither, as
# upstream has it, and there are many.
WATCHED = tuple(
    resource
    for resource in RESOURCES
    if "watch" in resource.verbs and resource.plural != "events" and not resource.stored_as
)


class Supervisor:
    """Wires informers, cache and controllers together.

    Attributes
    ----------
    synced
        Set once every controller works on a complete picture.
    """

    def __init__(
        self, client: Client, settings: ControllerSettings, *, clock: Clock | None = None
    ) -> None:
        clock = clock or SystemClock()
        self._cache = Cache()
        self.synced = asyncio.Event()
        self._controllers: list[Controller] = []
        self._recorders: list[EventRecorder] = []
        for reconciler in reconcilers(settings):
            recorder = EventRecorder(client, reconciler.name, clock)
            executor = Executor(client, recorder)
            controller = Controller(
                reconciler,
                self._cache,
                executor,
                clock,
                revision_of=self._revision_of,
                workers=settings.workers,
            )
            self._recorders.append(recorder)
            self._controllers.append(controller)
        self._informers = {
            resource: Informer(client, resource, DECODERS.get(resource, decode_object))
            for resource in WATCHED
        }
        for resource, informer in self._informers.items():
            informer.subscribe(self._listener(resource))

    def _listener(self, resource: Resource) -> Callable[[Change[Any]], None]:
        def listen(change: Change[Any]) -> None:
            self._cache.apply(resource, change.old, change.new)
            for controller in self._controllers:
                controller.observe(resource, change.old, change.new)

        return listen

    def _revision_of(self, resource: Resource) -> int:
        return self._informers[resource].revision

    async def run(self) -> None:
        """Run all controllers until cancelled; they start once every list is complete."""
        async with asyncio.TaskGroup() as tasks:
            for informer in self._informers.values():
                tasks.create_task(informer.run())
            for recorder in self._recorders:
                tasks.create_task(recorder.run())
            for informer in self._informers.values():
                await informer.synced.wait()
            for controller in self._controllers:
                tasks.create_task(controller.run())
            self.synced.set()


async def run(
    client: Client,
    settings: ControllerSettings,
    *,
    clock: Clock | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Run all controllers until cancelled.

    Parameters
    ----------
    ready
        Called once every controller works on a complete picture.
    """
    supervisor = Supervisor(client, settings, clock=clock)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(supervisor.run())
        await supervisor.synced.wait()
        if ready is not None:
            ready()
