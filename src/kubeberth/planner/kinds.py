"""The kinds that a plan moves: those that pods are placed by, and those that make pods."""

from __future__ import annotations

from kubeberth.api.batch import CronJob, Job
from kubeberth.api.core import Pod
from kubeberth.api.meta import ApiStruct
from kubeberth.api.quota import ResourceQuota
from kubeberth.api.scheme import (
    CONTROLLER_REVISIONS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    LIMIT_RANGES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    PRIORITY_CLASSES,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    RESOURCE_QUOTAS,
    RUNTIME_CLASSES,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from kubeberth.api.workloads import ControllerRevision, DaemonSet, Deployment, Object
from kubeberth.placement.observed import OBSERVED
from kubeberth.planner.uncalled import CALLED

TYPES: dict[Resource, type[ApiStruct]] = {
    PRIORITY_CLASSES: Object,
    RUNTIME_CLASSES: Object,
    LIMIT_RANGES: Object,
    RESOURCE_QUOTAS: ResourceQuota,
    **CALLED,
    **{resource: kind for kind, resource in OBSERVED.items()},
    CONTROLLER_REVISIONS: ControllerRevision,
    DEPLOYMENTS: Deployment,
    DAEMON_SETS: DaemonSet,
    CRON_JOBS: CronJob,
    JOBS: Job,
    PODS: Pod,
}
"""How each kind is read; in the order in which a cluster's objects are best taken in."""

WORKLOADS: tuple[Resource, ...] = (
    DEPLOYMENTS,
    STATEFUL_SETS,
    DAEMON_SETS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    JOBS,
)
"""The kinds that make pods."""

WRITTEN: tuple[Resource, ...] = (*WORKLOADS, CRON_JOBS, PODS, PERSISTENT_VOLUME_CLAIMS)
"""The kinds of which a plan makes objects, or takes new ones in."""

MERGED = frozenset((PODS, JOBS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, SERVICES))
"""Kinds of whose objects most is the cluster's to say: applied anew, the rest stays as it is."""
