"""EndpointSlices: where the pods behind a service are reached, a hundred to a slice.

Matches Kubernetes 1.36 (`pkg/controller/endpointslice`, `k8s.io/endpointslice`). Slices change as
little as possible: endpoints stay where they are, changed slices are filled up first, and what
would be deleted is used again. A service always has a slice, if only an empty one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubeberth.api.core import Node, Pod, Service
from kubeberth.api.endpoints import HEADLESS, MANAGED_BY, SERVICE_NAME, EndpointSlice
from kubeberth.api.meta import HasMetadata
from kubeberth.api.node_labels import ZONE
from kubeberth.api.scheme import ENDPOINT_SLICES, NODES, PODS, SERVICES, Resource
from kubeberth.api.workloads import is_ready
from kubeberth.controllers.action import (
    Action,
    CreateObject,
    DeleteObject,
    Failure,
    ObjectRef,
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

MANAGER = "endpointslice-controller.k8s.io"
MAX_ENDPOINTS = 100

Document = dict[str, Any]
Ports = tuple[Port, ...]


@dataclass(slots=True)
class _Slice:
    """A slice as it shall be.

    Parameters
    ----------
    stored
        What it is now; None for a new one.
    """

    address_type: str
    ports: list[Document]
    endpoints: list[Document] = field(default_factory=list)
    stored: EndpointSlice | None = None

    @property
    def room(self) -> int:
        """How many endpoints it can take."""
        return MAX_ENDPOINTS - len(self.endpoints)

    @property
    def is_changed(self) -> bool:
        """Whether it has other endpoints than before."""
        return self.stored is None or self.endpoints != list(self.stored.endpoints or ())

    def fill(self, waiting: list[Document]) -> None:
        """Take as many of the waiting endpoints as there is room for."""
        n_taken = self.room
        self.endpoints += waiting[:n_taken]
        del waiting[:n_taken]


def reconcile(
    service: Service,
    pods: Iterable[Pod],
    slices: Iterable[EndpointSlice],
    nodes: Mapping[str, Node],
) -> Outcome:
    """Return what makes the slices of a service say where its pods are.

    Parameters
    ----------
    pods
        Those behind the service.
    slices
        Those that were made here for the service.
    """
    if service.metadata.deletion_timestamp is not None:
        return Outcome()
    present, everyone = list(slices), list(pods)
    wanted: list[_Slice] = []
    spare: list[EndpointSlice] = []
    for address_type in service.spec.ip_families or (IPV4,):
        groups = _grouped(service, everyone, nodes, address_type)
        own = [each for each in present if each.address_type == address_type]
        kept, unused = _arranged(address_type, groups, own)
        for each in kept:
            # What nobody needs any more becomes what is new.
            if each.stored is None and unused:
                each.stored = unused.pop(0)
        wanted += kept
        spare += unused
    types = set(service.spec.ip_families or (IPV4,))
    spare += [each for each in present if each.address_type not in types]
    me, labels = ref_of(SERVICES, service), _labels(service)
    actions: list[Action] = []
    for each in wanted:
        actions += _written(me, each, labels)
    actions += [DeleteObject(ref_of(ENDPOINT_SLICES, each)) for each in spare]
    return Outcome(tuple(actions))


def _grouped(
    service: Service, pods: Iterable[Pod], nodes: Mapping[str, Node], address_type: str
) -> dict[Ports, list[Document]]:
    """Return the endpoints by the ports that they have."""
    groups: dict[Ports, list[Document]] = defaultdict(list)
    for pod in pods:
        address = address_of(pod, address_type)
        if address is not None:
            groups[ports_of(service, pod)].append(_endpoint(service, pod, address, nodes))
    return groups


def _endpoint(service: Service, pod: Pod, address: str, nodes: Mapping[str, Node]) -> Document:
    serving, terminating = is_ready(pod), pod.is_terminating
    endpoint: Document = {
        "addresses": [address],
        "conditions": {
            "ready": service.spec.publish_not_ready_addresses or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": target_of(pod),
    }
    if (hostname := hostname_of(service, pod)) is not None:
        endpoint["hostname"] = hostname
    if pod.spec.node_name:
        endpoint["nodeName"] = pod.spec.node_name
        node = nodes.get(pod.spec.node_name)
        zone = node.metadata.labels.get(ZONE) if node is not None else None
        if zone:
            endpoint["zone"] = zone
    return endpoint


def _arranged(
    address_type: str, groups: Mapping[Ports, list[Document]], present: list[EndpointSlice]
) -> tuple[list[_Slice], list[EndpointSlice]]:
    """Return the slices that shall be, and those of now that are used for none of them."""
    wanted: list[_Slice] = []
    unused = list(present)
    for ports, endpoints in groups.items():
        shown = [port.to_document() for port in ports]
        own = [each for each in unused if _sorted(each.ports) == _sorted(shown)]
        unused = [each for each in unused if each not in own]
        group = [_Slice(address_type, shown, [], each) for each in own]
        _distribute(group, endpoints, address_type, shown)
        wanted += [each for each in group if each.endpoints]
        unused += [each.stored for each in group if not each.endpoints and each.stored is not None]
    if not wanted:
        empty = next((each for each in unused if not each.endpoints and not each.ports), None)
        unused = [each for each in unused if each is not empty]
        wanted.append(_Slice(address_type, [], [], empty))
    return wanted, unused


def _sorted(ports: Iterable[Document] | None) -> list[Document]:
    return sorted(ports or (), key=lambda port: (port.get("name", ""), port.get("port", 0)))


def _distribute(
    group: list[_Slice], endpoints: list[Document], address_type: str, ports: list[Document]
) -> None:
    """Put endpoints into the slices of one group, and into new ones when these are full."""
    by_key = {_key(endpoint): endpoint for endpoint in endpoints}
    for each in group:
        stored = each.stored.endpoints if each.stored is not None else None
        keys = [_key(endpoint) for endpoint in stored or ()]
        each.endpoints = [by_key.pop(key) for key in keys if key in by_key]
    waiting = list(by_key.values())
    for each in group:
        if each.is_changed:
            each.fill(waiting)
    fits = [each for each in group if each.endpoints and each.room >= len(waiting)]
    if waiting and fits:
        min(fits, key=lambda each: each.room).fill(waiting)
    while waiting:
        new = _Slice(address_type, ports)
        new.fill(waiting)
        group.append(new)


def _key(endpoint: Document) -> tuple[str, str]:
    target = endpoint.get("targetRef") or {}
    return target.get("uid", ""), (endpoint.get("addresses") or [""])[0]


def _labels(service: Service) -> dict[str, str]:
    """Return the labels of a service's slices: its own, and those that say whose they are."""
    meta = service.metadata
    reserved = (SERVICE_NAME, MANAGED_BY, HEADLESS)
    labels = {key: value for key, value in meta.labels.items() if key not in reserved}
    headless = {HEADLESS: ""} if is_headless(service) else {}
    return {**labels, **headless, SERVICE_NAME: meta.name, MANAGED_BY: MANAGER}


def _written(me: ObjectRef, wanted: _Slice, labels: Mapping[str, str]) -> list[Action]:
    stored = wanted.stored
    content = {"endpoints": wanted.endpoints or None, "ports": wanted.ports or None}
    if stored is None:
        body = {
            "apiVersion": ENDPOINT_SLICES.api_version,
            "kind": ENDPOINT_SLICES.kind,
            "metadata": {
                "generateName": f"{me.name}-",
                "namespace": me.namespace,
                "labels": dict(labels),
                "ownerReferences": [me.owner_reference()],
            },
            "addressType": wanted.address_type,
            **content,
        }
        return [CreateObject(ENDPOINT_SLICES, body, me.namespace)]
    same_labels = stored.metadata.labels == labels
    same_ports = _sorted(stored.ports) == _sorted(wanted.ports)
    if same_labels and same_ports and not wanted.is_changed:
        return []
    metadata = {
        "resourceVersion": stored.metadata.resource_version,
        "labels": dict.fromkeys(stored.metadata.labels) | dict(labels),
    }
    return [PatchObject(ref_of(ENDPOINT_SLICES, stored), {"metadata": metadata, **content})]


class EndpointSliceReconciler(Reconciler):
    """Feeds `reconcile` from the cache; keys are services."""

    name = "endpoint-slice-controller"
    account = "endpointslice-controller"
    resource = SERVICES
    follows = (ENDPOINT_SLICES, PODS, NODES)

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the services that a change of a slice, a pod or a node concerns."""
        if resource == NODES:
            return [] if _zone(old) == _zone(new) else list(cache.all(SERVICES))
        if resource == ENDPOINT_SLICES:
            return {
                f"{item.metadata.namespace}/{item.metadata.labels.get(SERVICE_NAME, '')}"
                for item in (old, new)
                if item is not None and item.metadata.labels.get(MANAGED_BY) == MANAGER
            }
        return services_of_pod(cache, old, new)

    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what the slices of a service lack."""
        service: Service | None = cache.get(SERVICES, key)
        if service is None or not is_followed(service):
            return Outcome()
        slices = [
            each
            for each in cache.controlled(ENDPOINT_SLICES, service.metadata.uid)
            if each.metadata.labels.get(MANAGED_BY) == MANAGER
        ]
        return reconcile(service, pods_behind(cache, service), slices, cache.nodes())


def _zone(node: HasMetadata | None) -> str | None:
    return None if node is None else node.metadata.labels.get(ZONE)
