"""All controllers in one process: one cache, one set of informers, one client for each account.

The process reads under its own name, for all; each controller writes as its own service account.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from kubeberth.api.batch import decode_cron_job, decode_job
from kubeberth.api.core import decode_namespace, decode_node, decode_pod, decode_service
from kubeberth.api.endpoints import decode_endpoint_slice, decode_endpoints
from kubeberth.api.policy import decode_disruption_budget
from kubeberth.api.quota import decode_quota
from kubeberth.api.scheme import (
    CERTIFICATE_SIGNING_REQUESTS,
    CONFIG_MAPS,
    CONTROLLER_REVISIONS,
    CRON_JOBS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    JOBS,
    LEASES,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    RESOURCE_QUOTAS,
    RESOURCES,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    STORAGE_CLASSES,
    VALIDATING_ADMISSION_POLICIES,
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
    ReplicaSet,
    decode_config_map,
    decode_controller_revision,
    decode_daemon_set,
    decode_deployment,
    decode_lease,
    decode_object,
    decode_replica_set,
    decode_replication_controller,
    decode_stateful_set,
)
from kubeberth.client.client import Client
from kubeberth.client.informer import Change, Informer
from kubeberth.client.mandate import Alone, Mandate
from kubeberth.client.recorder import EventRecorder
from kubeberth.clock import Clock, SystemClock
from kubeberth.controllers.batch.cron_job import CronJobReconciler
from kubeberth.controllers.batch.job import JobReconciler
from kubeberth.controllers.batch.orphaned_job_pods import OrphanedJobPodReconciler
from kubeberth.controllers.batch.ttl_after_finished import TTLAfterFinishedReconciler
from kubeberth.controllers.bootstrap import ROOT_CA, RootCAReconciler, ServiceAccountReconciler
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.controller import Controller
from kubeberth.controllers.disruption import DisruptionReconciler
from kubeberth.controllers.executor import Executor
from kubeberth.controllers.garbage import GarbageReconciler
from kubeberth.controllers.kinds import decode_definition
from kubeberth.controllers.namespace import NamespaceReconciler
from kubeberth.controllers.nodes.node_lifecycle import NodeLifecycleReconciler
from kubeberth.controllers.nodes.pod_gc import TERMINATED_THRESHOLD, PodGCReconciler
from kubeberth.controllers.nodes.taint_eviction import TaintEvictionReconciler
from kubeberth.controllers.policy_type_checking import (
    PolicyTypeCheckingReconciler,
    decode_validating_policy,
)
from kubeberth.controllers.reconciler import Reconciler
from kubeberth.controllers.resource_quota import ResourceQuotaReconciler
from kubeberth.controllers.services.endpoint_slice import EndpointSliceReconciler
from kubeberth.controllers.services.endpoints import EndpointsReconciler
from kubeberth.controllers.storage.ephemeral_volumes import EphemeralVolumeReconciler
from kubeberth.controllers.storage.volume_provisioning import (
    DefaultClassReconciler,
    ProvisioningReconciler,
    ReclaimReconciler,
)
from kubeberth.controllers.storage.volumes import ClaimReconciler, VolumeReconciler
from kubeberth.controllers.trust.certificate_approval import CertificateApprovalReconciler
from kubeberth.controllers.trust.certificate_signing import (
    CertificateSigningReconciler,
    Signer,
    decode_signing_request,
)
from kubeberth.controllers.trust.token_cleaner import TokenCleanerReconciler, decode_secret
from kubeberth.controllers.workloads.daemon_set import DaemonSetReconciler
from kubeberth.controllers.workloads.deployment import DeploymentReconciler
from kubeberth.controllers.workloads.replica_set import (
    ReplicaSetReconciler,
    ReplicationControllerReconciler,
)
from kubeberth.controllers.workloads.stateful_set import StatefulSetReconciler

logger = logging.getLogger(__name__)

ClientOf = Callable[[str], Client]


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """What can be set about the controllers.

    Parameters
    ----------
    root_ca
        The cluster's CA as PEM, published in every namespace.
    authority
        Signs approved requests for certificates; without it nobody does.
    workers
        How many keys each controller works on at a time: each mostly waits for the API server,
        which is the quicker the more writes it can take to the disk together.
    terminated_pod_threshold
        How many ended pods are kept; 0 keeps all.
    default_storage_class
        Name of a class of simulated volumes, made when there is none at all; empty for none.
    """

    root_ca: str = ""
    authority: Signer | None = None
    workers: int = 24
    terminated_pod_threshold: int = TERMINATED_THRESHOLD
    default_storage_class: str = ""


def reconcilers(settings: ControllerSettings) -> list[Reconciler]:
    """Return every controller there is."""
    authority = settings.authority
    signers = [CertificateSigningReconciler(authority)] if authority is not None else []
    wished = settings.default_storage_class
    classes = [DefaultClassReconciler(wished)] if wished else []
    return [
        *signers,
        *classes,
        DeploymentReconciler(),
        ReplicaSetReconciler(),
        ReplicationControllerReconciler(),
        StatefulSetReconciler(),
        DaemonSetReconciler(),
        CronJobReconciler(),
        JobReconciler(),
        OrphanedJobPodReconciler(),
        TTLAfterFinishedReconciler(),
        GarbageReconciler(),
        NamespaceReconciler(),
        ServiceAccountReconciler(),
        RootCAReconciler(settings.root_ca),
        PodGCReconciler(settings.terminated_pod_threshold),
        NodeLifecycleReconciler(),
        TaintEvictionReconciler(),
        EphemeralVolumeReconciler(),
        VolumeReconciler(),
        ClaimReconciler(),
        ProvisioningReconciler(),
        ReclaimReconciler(),
        DisruptionReconciler(),
        ResourceQuotaReconciler(),
        EndpointSliceReconciler(),
        EndpointsReconciler(),
        CertificateApprovalReconciler(),
        TokenCleanerReconciler(),
        PolicyTypeCheckingReconciler(),
    ]


def _decode_config_map(raw: bytes) -> ConfigMap:
    """Keep the data of the one config map that a controller compares."""
    config_map = decode_config_map(raw)
    if config_map.metadata.name == ROOT_CA:
        return config_map
    return ConfigMap(metadata=config_map.metadata)


def _decode_replication_controller(raw: bytes) -> ReplicaSet:
    return decode_replication_controller(raw).as_replica_set()


DECODERS: dict[Resource, Callable[[bytes], Any]] = {
    CERTIFICATE_SIGNING_REQUESTS: decode_signing_request,
    CONFIG_MAPS: _decode_config_map,
    CONTROLLER_REVISIONS: decode_controller_revision,
    CRON_JOBS: decode_cron_job,
    CUSTOM_RESOURCE_DEFINITIONS: decode_definition,
    DAEMON_SETS: decode_daemon_set,
    DEPLOYMENTS: decode_deployment,
    ENDPOINTS: decode_endpoints,
    ENDPOINT_SLICES: decode_endpoint_slice,
    JOBS: decode_job,
    LEASES: decode_lease,
    NAMESPACES: decode_namespace,
    NODES: decode_node,
    PODS: decode_pod,
    POD_DISRUPTION_BUDGETS: decode_disruption_budget,
    REPLICATION_CONTROLLERS: _decode_replication_controller,
    STATEFUL_SETS: decode_stateful_set,
    PERSISTENT_VOLUMES: decode_storage[PersistentVolume],
    PERSISTENT_VOLUME_CLAIMS: decode_storage[PersistentVolumeClaim],
    REPLICA_SETS: decode_replica_set,
    RESOURCE_QUOTAS: decode_quota,
    SECRETS: decode_secret,
    SERVICES: decode_service,
    STORAGE_CLASSES: decode_storage[StorageClass],
    VALIDATING_ADMISSION_POLICIES: decode_validating_policy,
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

    Parameters
    ----------
    client
        Reads what all controllers look at.
    client_of
        Gives the client of a service account; `client` acts for all when there is none.

    Attributes
    ----------
    synced
        Set once every controller works on a complete picture.
    """

    def __init__(
        self,
        client: Client,
        settings: ControllerSettings,
        *,
        client_of: ClientOf | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self._client = client
        self._cache = Cache()
        self.synced = asyncio.Event()
        self._controllers: list[Controller] = []
        self._recorders: list[EventRecorder] = []
        acting = cache(client_of or (lambda _: client))
        for reconciler in reconcilers(settings):
            own = acting(reconciler.account)
            recorder = EventRecorder(own, reconciler.name, clock)
            executor = Executor(own, recorder)
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
        # Runs the informers of custom kinds, by the name of their definition.
        self._tasks: asyncio.TaskGroup | None = None
        self._custom: dict[str, tuple[Resource, asyncio.Task[None]]] = {}
        for resource, informer in self._informers.items():
            informer.subscribe(self._listener(resource))
        self._informers[CUSTOM_RESOURCE_DEFINITIONS].subscribe(self._define)

    def _listener(self, resource: Resource) -> Callable[[Change[Any]], None]:
        # Most kinds concern few controllers, and thousands of leases are renewed all the time.
        hearing = [each for each in self._controllers if each.hears_of(resource)]

        def listen(change: Change[Any]) -> None:
            self._cache.apply(resource, change.old, change.new)
            for controller in hearing:
                controller.observe(resource, change.old, change.new)

        return listen

    def _define(self, change: Change[Any]) -> None:
        """Follow what a definition stands for, as long as it does."""
        name, kinds = change.key, self._cache.kinds
        kinds.define(name, change.new)
        resource = next((r for r in kinds.defined if r.group_resource == name), None)
        followed, task = self._custom.get(name, (None, None))
        if resource == followed or self._tasks is None:
            return
        if followed is not None and task is not None:
            task.cancel()
            del self._custom[name]
            for item in self._informers.pop(followed).store.values():
                self._listener(followed)(Change("deleted", item.metadata.key, item, None))
        if resource is not None:
            informer = self._informers[resource] = Informer(self._client, resource, decode_object)
            informer.subscribe(self._listener(resource))
            self._custom[name] = (resource, self._tasks.create_task(informer.run()))

    def _revision_of(self, resource: Resource) -> int:
        informer = self._informers.get(resource)
        # Nothing more is to be heard of a kind that is gone.
        return informer.revision if informer is not None else sys.maxsize

    def dump(self) -> None:
        """Log what each controller has to do, and how far the picture is that it goes by."""
        seen = {r.group_resource: i.revision for r, i in self._informers.items()}
        logger.info("dump of revisions seen", extra={"revisions": seen})
        for controller in self._controllers:
            if keys := controller.pending():
                facts = {"controller": controller.name, "keys": keys}
                logger.info("dump of work queue", extra=facts)
        logger.info("dump of work queues finished")

    async def run(self) -> None:
        """Run all controllers until cancelled; they start once every list is complete."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            built_in = list(self._informers.values())
            for informer in built_in:
                tasks.create_task(informer.run())
            for recorder in self._recorders:
                tasks.create_task(recorder.run())
            for informer in built_in:
                await informer.synced.wait()
            for controller in self._controllers:
                tasks.create_task(controller.run())
            self.synced.set()


async def run(
    client: Client,
    settings: ControllerSettings,
    *,
    client_of: ClientOf | None = None,
    clock: Clock | None = None,
    ready: Callable[[], None] | None = None,
    mandate: Mandate | None = None,
    dump_on: Callable[[Callable[[], None]], None] = lambda _: None,
) -> None:
    """Run all controllers until cancelled.

    As upstream, whoever has to wait for the mandate follows nothing meanwhile: what is listed once
    it holds has all that the last holder has done, so that nothing is done twice.

    Parameters
    ----------
    client, client_of
        See `Supervisor`.
    ready
        Called once every controller works on a complete picture.
    mandate
        Without one, there are no other controllers to take turns with.
    dump_on
        Called once with what logs all that there is to do, to be called on whatever occasion.

    Raises
    ------
    LeadershipLostError
        Somebody else may be at work now.
    """
    mandate, acting_as = mandate or Alone(), client_of or (lambda _: client)
    supervisor = Supervisor(
        client,
        settings,
        client_of=lambda account: acting_as(account).under(mandate),
        clock=clock,
    )
    dump_on(supervisor.dump)
    try:
        await mandate.win()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(mandate.keep())
            tasks.create_task(supervisor.run())
            await supervisor.synced.wait()
            if ready is not None:
                ready()
    finally:
        # All that was under way has ended: whoever comes next finds things as they are.
        await mandate.release()
