"""Endpoints: the older form of a service's slices, in one object of the service's name.

Matches Kubernetes 1.36 (`pkg/controller/endpoint`): pods on their way out are in none, and of more
than a thousand addresses the rest is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from kubeberth.api.core import Pod, Service
from kubeberth.api.endpoints import ENDPOINTS_MANAGED_BY, HEADLESS, OVER_CAPACITY, Endpoints
from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import ENDPOINTS, PODS, SERVICES, Resource
from kubeberth.api.workloads import is_ready
from kubeberth.controllers.action import (
    CreateObject,
    DeleteObject,
    Failure,
    Outcome,
    PatchObject,
)
from kubeberth.controllers.cache import Cache, ref_of
from kubeberth.controllers.reconciler import Reconciler
from kubeberth.controllers.services.service_pods import (
    IPV4,
    Port,
    address_of,
    hostname_of,
    is_followed,
    is_headless,
    pods_behind,
    ports_of,
    services_of_pod,
    target_of,
)

MANAGER = "endpoint-controller"
MAX_ADDRESSES = 1000

Document = dict[str, Any]


def reconcile(service: Service, pods: Iterable[Pod], stored: Endpoints | None) -> Outcome:
    """Return what makes the endpoints of a service say where its pods are.

    Parameters
    ----------
    pods
        Those behind the service.
    """
    family = (service.spec.ip_families or (IPV4,))[0]
    staying = [pod for pod in pods if not pod.is_terminating and address_of(pod, family)]
    first = sorted(staying, key=lambda pod: not is_ready(pod))[:MAX_ADDRESSES]
    annotations = {OVER_CAPACITY: "truncated"} if len(staying) > len(first) else {}
    kept = {pod.metadata.uid for pod in first}
    shown = [pod for pod in staying if pod.metadata.uid in kept]
    subsets = _subsets(service, shown, family)
    labels = _labels(service)
    if stored is None:
        meta = service.metadata
        metadata: Document = {"name": meta.name, "namespace": meta.namespace, "labels": labels}
        body = {
            "apiVersion": ENDPOINTS.api_version,
            "kind": ENDPOINTS.kind,
            "metadata": metadata | ({"annotations": annotations} if annotations else {}),
            **({"subsets": subsets} if subsets else {}),
        }
        return Outcome((CreateObject(ENDPOINTS, body, meta.namespace),))
    meta = stored.metadata
    if (
        meta.labels == labels
        and meta.annotations.get(OVER_CAPACITY) == annotations.get(OVER_CAPACITY)
        and list(stored.subsets or ()) == subsets
    ):
        return Outcome()
    patch = {
        "metadata": {
            "resourceVersion": meta.resource_version,
            "labels": dict.fromkeys(meta.labels) | labels,
            "annotations": {OVER_CAPACITY: None, **annotations},
        },
        "subsets": subsets or None,
    }
    return Outcome((PatchObject(ref_of(ENDPOINTS, stored), patch),))


def _subsets(service: Service, pods: Iterable[Pod], family: str) -> list[Document]:
    """Return the pods by the ports that they have, ready or not."""
    groups: dict[tuple[Port, ...], dict[bool, list[Document]]] = {}
    for pod in pods:
        ports = ports_of(service, pod)
        if not ports and service.spec.ports:
            continue
        is_told_ready = is_ready(pod) or service.spec.publish_not_ready_addresses
        group = groups.setdefault(ports, defaultdict(list))
        group[is_told_ready].append(_address(service, pod, address_of(pod, family) or ""))
    return [
        {
            **({"addresses": _by_ip(group[True])} if group[True] else {}),
            **({"notReadyAddresses": _by_ip(group[False])} if group[False] else {}),
            **({"ports": [_port(port) for port in ports]} if ports else {}),
        }
        for ports, group in groups.items()
    ]


def _by_ip(addresses: list[Document]) -> list[Document]:
    return sorted(addresses, key=lambda address: str(address["ip"]))


def _address(service: Service, pod: Pod, ip: str) -> Document:
    hostname = hostname_of(service, pod)
    return {
        "ip": ip,
        **({"hostname": hostname} if hostname is not None else {}),
        **({"nodeName": pod.spec.node_name} if pod.spec.node_name else {}),
        "targetRef": target_of(pod),
    }


def _port(port: Port) -> Document:
    return {key: value for key, value in port.to_document().items() if value != ""}


def _labels(service: Service) -> dict[str, str]:
    headless = {HEADLESS: ""} if is_headless(service) else {}
    labels = {key: value for key, value in service.metadata.labels.items() if key != HEADLESS}
    return {**labels, **headless, ENDPOINTS_MANAGED_BY: MANAGER}


class EndpointsReconciler(Reconciler):
    """Feeds `reconcile` from the cache; keys are services."""

    name = "endpoint-controller"
    account = "endpoint-controller"
    resource = SERVICES
    follows = (ENDPOINTS, PODS)

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the services that a change of endpoints or a pod concerns."""
        if resource == ENDPOINTS:
            return {item.metadata.key for item in (old, new) if item is not None}
        return services_of_pod(cache, old, new)

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the endpoints of a service lack; they go with it."""
        service: Service | None = cache.get(SERVICES, key)
        stored: Endpoints | None = cache.get(ENDPOINTS, key)
        if service is None:
            if stored is None or ENDPOINTS_MANAGED_BY not in stored.metadata.labels:
                return Outcome()
            return Outcome((DeleteObject(ref_of(ENDPOINTS, stored)),))
        if not is_followed(service):
            return Outcome()
        return reconcile(service, pods_behind(cache, service), stored)
