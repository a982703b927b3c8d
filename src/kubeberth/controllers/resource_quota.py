"""ResourceQuota: what a namespace uses of its quotas, written where admission looks it up.

Matches Kubernetes 1.36 (`pkg/controller/resourcequota`). Admission adds to `status.used` what it
lets in; what goes is given back here.

Rule 1: a quota whose limits are not published yet, or whose use nobody knows, is counted at once.
Rule 2: afterwards it is counted when nothing has been charged to it for a moment. Admission charges
an object before it is stored, so what is counted amid charges may lack what was just let in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from kubeberth.api.core import Pod
from kubeberth.api.meta import HasMetadata
from kubeberth.api.pod_totals import Totals, plus
from kubeberth.api.qos import qos_class
from kubeberth.api.quantity import Quantity, parse_quantity
from kubeberth.api.quota import ResourceQuota, counted_by, matches_scopes, usage_of
from kubeberth.api.scheme import PODS, RESOURCE_QUOTAS, RESOURCES, Resource
from kubeberth.api.workloads import seconds_of
from kubeberth.controllers.action import Failure, Outcome, PatchObject
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler

# Long enough for a charged object to be stored and seen, short enough to be given room back soon.
SETTLED_S = 0.5
# As upstream, for what no change tells: terminating pods that are overdue.
RESYNC_S = 300.0


@dataclass(frozen=True, slots=True)
class Contents:
    """The objects of one resource in the quota's namespace."""

    resource: Resource
    items: tuple[HasMetadata, ...]


def reconcile(
    quota: ResourceQuota, contents: Iterable[Contents], unchanged_for_s: float, now: float
) -> Outcome:
    """Return the status that a quota lacks.

    Parameters
    ----------
    contents
        What there is of each resource that the quota may count.
    unchanged_for_s
        How long nobody has written to the quota.
    """
    hard, told = _amounts(quota.spec.get("hard")), _amounts(quota.status.get("used"))
    is_published = _amounts(quota.status.get("hard")) == hard
    is_settled = unchanged_for_s >= SETTLED_S
    contents = [each for each in contents if counted_by(each.resource, hard)]
    names = {name for each in contents for name in counted_by(each.resource, hard)}
    if is_published and names <= told.keys() and not is_settled:
        return Outcome((), SETTLED_S - unchanged_for_s)
    used = {name: Quantity(0) for name in sorted(names)}
    for each in contents:
        used = _counted(quota, each, used, now)
    if not is_settled:
        used = {
            name: max(amount, told.get(name, amount), key=_size) for name, amount in used.items()
        }
    if is_published and _sizes(used) == _sizes(told):
        return Outcome((), RESYNC_S)
    status = {
        "hard": _merged(quota.status.get("hard"), hard),
        "used": _merged(quota.status.get("used"), used),
    }
    patch = {"metadata": {"resourceVersion": quota.metadata.resource_version}, "status": status}
    return Outcome((PatchObject(ref_of(RESOURCE_QUOTAS, quota), patch, "status", if_present=True),))


def _amounts(texts: Mapping[str, str] | None) -> Totals:
    return {name: parse_quantity(text) for name, text in (texts or {}).items()}


def _size(amount: Quantity) -> int:
    return amount.nanos


def _sizes(amounts: Totals) -> dict[str, int]:
    return {name: amount.nanos for name, amount in amounts.items()}


def _merged(before: Mapping[str, str] | None, after: Totals) -> dict[str, str | None]:
    """Return what makes a map another one when it is merged into it."""
    return dict.fromkeys(before or {}) | {name: str(amount) for name, amount in after.items()}


def _counted(quota: ResourceQuota, contents: Contents, used: Totals, now: float) -> Totals:
    """Return what is used when the objects of one resource come to it."""
    resource = contents.resource
    scoped = {"spec": quota.spec}
    total = dict(used)
    for item in contents.items:
        if isinstance(item, Pod) and _is_overdue(item, now):
            continue
        document = msgspec.to_builtins(item)
        qos = qos_class(document["spec"]) if resource == PODS else ""
        if matches_scopes(scoped, resource, document, qos):
            usage = usage_of(resource, document)
            total |= {n: plus(total[n], amount) for n, amount in usage.items() if n in total}
    return total


def _is_overdue(pod: Pod, now: float) -> bool:
    """Return whether a pod should have been gone for as long again as it was given."""
    meta = pod.metadata
    if meta.deletion_timestamp is None or meta.deletion_grace_period_seconds is None:
        return False
    return now > seconds_of(meta.deletion_timestamp) + meta.deletion_grace_period_seconds


class ResourceQuotaReconciler(Reconciler):
    """Feeds `reconcile` from the cache, and remembers since when a quota is as it is."""

    name = "resourcequota-controller"
    account = "resourcequota-controller"
    resource = RESOURCE_QUOTAS
    follows = None

    def __init__(self) -> None:
        self._unchanged: dict[str, tuple[str, float]] = {}

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the quota that changed, or those that count what came, went or changed."""
        item = new if new is not None else old
        if item is None:
            return []
        if resource == RESOURCE_QUOTAS:
            own = [item.metadata.key]
            return own if old is not None and new is not None else own + self._others(cache, item)
        quotas = cache.in_namespace(RESOURCE_QUOTAS, item.metadata.namespace)
        if not quotas or not _changes_use(old, new):
            return []
        return [
            key
            for key, quota in quotas.items()
            if counted_by(resource, quota.spec.get("hard") or ())
        ]

    def _others(self, cache: Cache, quota: HasMetadata) -> list[str]:
        """Return the quotas that may count a quota which came or went."""
        return list(cache.in_namespace(RESOURCE_QUOTAS, quota.metadata.namespace))

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return the status that the quota lacks."""
        quota: ResourceQuota | None = cache.get(RESOURCE_QUOTAS, key)
        if quota is None or quota.metadata.deletion_timestamp is not None:
            self._unchanged.pop(key, None)
            return Outcome()
        version = quota.metadata.resource_version
        known, since = self._unchanged.get(key, ("", now))
        if known != version:
            since = now
        self._unchanged[key] = (version, since)
        namespace = quota.metadata.namespace
        contents = (
            Contents(resource, tuple(cache.in_namespace(resource, namespace).values()))
            for resource in (*RESOURCES, *cache.kinds.defined)
            if resource.namespaced and resource.stored_as is None
        )
        return reconcile(quota, contents, now - since, now)


def _changes_use(old: HasMetadata | None, new: HasMetadata | None) -> bool:
    if old is None or new is None:
        return True
    if isinstance(old, Pod) and isinstance(new, Pod) and old.is_terminal != new.is_terminal:
        return True
    before: Any = getattr(old, "spec", None)
    return bool(before != getattr(new, "spec", None))
