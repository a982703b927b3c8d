"""Roster: the controllers of a plan, in the order in which they act.

What is counted comes before any more of it is made, and what is made before those that make
something of it. A controller starts when the first object comes that it works on: before, there
is nothing for it to do, and most plans are about few kinds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import (
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    RESOURCE_QUOTAS,
    STATEFUL_SETS,
    Resource,
)
from kubeberth.controllers.action import Failure, Outcome
from kubeberth.controllers.cache import Cache


class Reconciler(Protocol):
    """What is asked of a controller; see `kubeberth.controllers.reconciler`."""

    name: str

    def hears_of(self, resource: Resource) -> bool:
        """Return whether a change of a resource may concern a key."""

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the keys to look at after a change that is in the cache already."""

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what to do about a key."""


@dataclass(frozen=True, slots=True)
class Place:
    """A controller that there is, or will be.

    Parameters
    ----------
    works_on
        With the first object of these it starts.
    reconciler
        Module within `kubeberth`, and class.
    is_patient
        Whether it takes notice of time: pods wait to be available, or to be made again.
    stands_in
        Whether it does what in a live cluster others do, who are not here.
    """

    works_on: Resource
    reconciler: str
    is_patient: bool = False
    stands_in: bool = False

    def start(self) -> Reconciler:
        """Return the controller."""
        module, _, name = self.reconciler.partition(":")
        options: dict[str, Any] = {"stands_in": True} if self.stands_in else {}
        started: Reconciler = getattr(import_module(f"kubeberth.{module}"), name)(**options)
        return started


_WORKLOADS, _STORAGE = "controllers.workloads", "controllers.storage"

ROSTER = (
    Place(RESOURCE_QUOTAS, "controllers.resource_quota:ResourceQuotaReconciler"),
    Place(DEPLOYMENTS, f"{_WORKLOADS}.deployment:DeploymentReconciler", is_patient=True),
    Place(STATEFUL_SETS, f"{_WORKLOADS}.stateful_set:StatefulSetReconciler", is_patient=True),
    Place(DAEMON_SETS, f"{_WORKLOADS}.daemon_set:DaemonSetReconciler", is_patient=True),
    Place(JOBS, "controllers.batch.job:JobReconciler", is_patient=True),
    Place(
        REPLICATION_CONTROLLERS,
        f"{_WORKLOADS}.replica_set:ReplicationControllerReconciler",
        is_patient=True,
    ),
    Place(REPLICA_SETS, f"{_WORKLOADS}.replica_set:ReplicaSetReconciler", is_patient=True),
    Place(POD_DISRUPTION_BUDGETS, "controllers.disruption:DisruptionReconciler", stands_in=True),
    Place(PERSISTENT_VOLUME_CLAIMS, "planner.claim_garbage:ClaimGarbageReconciler"),
    Place(PODS, f"{_STORAGE}.ephemeral_volumes:EphemeralVolumeReconciler"),
    Place(PERSISTENT_VOLUMES, f"{_STORAGE}.volumes:VolumeReconciler"),
    Place(PERSISTENT_VOLUME_CLAIMS, f"{_STORAGE}.volumes:ClaimReconciler"),
    Place(
        PERSISTENT_VOLUME_CLAIMS,
        f"{_STORAGE}.volume_provisioning:ProvisioningReconciler",
        stands_in=True,
    ),
)
