"""ResourceQuota: a namespace gets no more than its quotas allow, counted before it is stored.

Matches `k8s.io/apiserver/pkg/admission/plugin/resourcequota` of Kubernetes 1.36. A quota counts as
soon as a controller has written its `status.hard`; what is deleted is given back by it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

from kubeberth.api import quota
from kubeberth.api.pod_totals import Totals
from kubeberth.api.qos import qos_class
from kubeberth.api.quantity import Quantity, parse_quantity
from kubeberth.api.scheme import PODS, RESOURCE_QUOTAS, Resource
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin, Reader

# Objects that may come and go as they please.
_IGNORED = ("events", "events.events.k8s.io")
# Kinds of which an update may use more.
_GROWING = ("services", "persistentvolumeclaims")


class Ledger(Reader, Protocol):
    """Where quotas are read, and where it is written down what is used of them."""

    async def charge(
        self, namespace: str, name: str, more: Totals, check: Callable[[Document], None]
    ) -> None:
        """Add to what is used of a quota, which `check` may refuse as it then is."""


class ResourceQuota(Plugin):
    """Refuses what would exceed a quota, and charges what does not."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def validate(self, attributes: Attributes) -> None:
        """Check and charge a new object, or one that grows."""
        document, resource = attributes.document, attributes.resource
        if document is None or not _is_counted(attributes):
            return
        quotas = list(self._ledger.find_all(RESOURCE_QUOTAS, attributes.namespace))
        quotas = [found for found in quotas if _concerns(found, resource, document)]
        if not quotas:
            return
        usage = quota.usage_of(resource, document)
        if attributes.old is not None:
            usage = _difference(usage, quota.usage_of(resource, attributes.old))
        charges = {}
        for found in quotas:
            name = found["metadata"]["name"]
            _check_told(attributes, document, found)
            counted = quota.counted_by(resource, _hard(found))
            charges[name] = {k: v for k, v in usage.items() if k in counted and v.nanos}
            _check_room(attributes, charges[name], found)
        if attributes.dry_run:
            return
        for name, more in charges.items():
            if more:
                # Checked again as it is written: others may have been faster.
                check = partial(_check_room, attributes, more)
                await self._ledger.charge(attributes.namespace, name, more, check)


def _is_counted(attributes: Attributes) -> bool:
    resource = attributes.resource
    if resource is PODS and attributes.subresource == "resize":
        return True
    if not resource.namespaced or attributes.subresource or resource.group_resource in _IGNORED:
        return False
    is_new = attributes.operation == "CREATE"
    return is_new or resource.group_resource in _GROWING


def _hard(found: Document) -> Mapping[str, str]:
    hard: Mapping[str, str] = (found.get("status") or {}).get("hard") or {}
    return hard


def _concerns(found: Document, resource: Resource, document: Document) -> bool:
    if not quota.counted_by(resource, _hard(found)):
        return False
    qos = qos_class(document["spec"]) if resource is PODS else ""
    return quota.matches_scopes(found, resource, document, qos)


def _check_told(attributes: Attributes, document: Document, found: Document) -> None:
    """Refuse an object that does not tell what it uses, or a quota of which nobody knows."""
    name = found["metadata"]["name"]
    counted = quota.counted_by(attributes.resource, _hard(found))
    used = (found.get("status") or {}).get("used") or {}
    unknown = sorted(key for key in counted if key not in used)
    if unknown:
        raise attributes.forbid(f"status unknown for quota: {name}, resources: {','.join(unknown)}")
    if attributes.resource is not PODS:
        return
    missing = quota.unspecified(document["spec"], counted)
    if missing:
        parts = [f"{key} for: {','.join(containers)}" for key, containers in missing.items()]
        raise attributes.forbid(f"failed quota: {name}: must specify {'; '.join(parts)}")


def _check_room(attributes: Attributes, more: Totals, found: Document) -> None:
    hard, used = _hard(found), found["status"].get("used") or {}
    exceeded = [
        key
        for key in sorted(more)
        if parse_quantity(used.get(key, "0")).nanos + more[key].nanos
        > parse_quantity(hard[key]).nanos
    ]
    if exceeded:
        raise attributes.forbid(
            f"exceeded quota: {found['metadata']['name']}, "
            f"requested: {_listed(exceeded, more)}, used: {_listed(exceeded, used)}, "
            f"limited: {_listed(exceeded, hard)}"
        )


def _listed(keys: Iterable[str], amounts: Mapping[str, str | Quantity]) -> str:
    return ",".join(f"{key}={amounts.get(key, '0')}" for key in keys)


def _difference(new: Totals, old: Totals) -> Totals:
    """Return by how much more the new usage is; what became less is not given back here."""
    grown = {
        name: Quantity(amount.nanos - (old[name].nanos if name in old else 0), amount.format)
        for name, amount in new.items()
    }
    return {name: amount for name, amount in grown.items() if amount.nanos > 0}
