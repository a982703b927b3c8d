"""The pods behind a service: which they are, and how they are reached.

Matches Kubernetes 1.36 (`k8s.io/endpointslice`): ended pods and those without an address are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeberth.api.core import Pod, Service
from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import PODS, SERVICES
from kubeberth.api.workloads import is_ready
from kubeberth.controllers.cache import Cache

IPV4, IPV6 = "IPv4", "IPv6"


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a service, with its number on some pod."""

    name: str
    number: int
    protocol: str
    app_protocol: str | None

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON."""
        more = {"appProtocol": self.app_protocol} if self.app_protocol is not None else {}
        return {"name": self.name, "port": self.number, "protocol": self.protocol, **more}


def is_followed(service: Service) -> bool:
    """Return whether the endpoints of a service are worked out, and not told by somebody."""
    return service.spec.selector is not None and service.spec.type != "ExternalName"


def is_headless(service: Service) -> bool:
    """Return whether clients are given the pods' own addresses."""
    return service.spec.cluster_ip == "None"


def selects(service: Service, labels: Mapping[str, str]) -> bool:
    """Return whether pods with such labels are behind the service."""
    selector = service.spec.selector
    return selector is not None and selector.items() <= labels.items()


def is_endpoint(pod: Pod) -> bool:
    """Return whether a pod can be reached at all."""
    return not pod.is_terminal and bool(addresses_of(pod))


def addresses_of(pod: Pod) -> tuple[str, ...]:
    """Return a pod's addresses, at most one of each kind."""
    told = tuple(entry.ip for entry in pod.status.pod_ips)
    return told or ((pod.status.pod_ip,) if pod.status.pod_ip else ())


def address_of(pod: Pod, address_type: str) -> str | None:
    """Return a pod's address of some kind, or None."""
    is_six = address_type == IPV6
    return next((ip for ip in addresses_of(pod) if (":" in ip) is is_six), None)


def ports_of(service: Service, pod: Pod) -> tuple[Port, ...]:
    """Return the ports of a service that a pod has; a name that no container knows is left out."""
    found = []
    for port in service.spec.ports:
        number = port.target_port or port.port
        if isinstance(number, str):
            number = _named(pod, number, port.protocol)
        if number:
            found.append(Port(port.name, number, port.protocol, port.app_protocol))
    return tuple(found)


def _named(pod: Pod, name: str, protocol: str) -> int:
    """Return the number of a container's port, or 0."""
    sidecars = (container for container in pod.spec.init_containers if container.is_sidecar)
    for container in (*pod.spec.containers, *sidecars):
        for port in container.ports:
            if port.name == name and port.protocol == protocol:
                return port.container_port
    return 0


def hostname_of(service: Service, pod: Pod) -> str | None:
    """Return the name that a pod has within a service, if it asks for one."""
    spec = pod.spec
    is_named = bool(spec.hostname) and spec.subdomain == service.metadata.name
    return spec.hostname if is_named else None


def target_of(pod: Pod) -> dict[str, str]:
    """Return the reference to a pod."""
    meta = pod.metadata
    return {"kind": "Pod", "namespace": meta.namespace, "name": meta.name, "uid": meta.uid}


def pods_behind(cache: Cache, service: Service) -> list[Pod]:
    """Return the pods that a service selects and that can be reached, by their names."""
    pods = cache.in_namespace(PODS, service.metadata.namespace)
    return [
        pods[key]
        for key in sorted(pods)
        if selects(service, pods[key].metadata.labels) and is_endpoint(pods[key])
    ]


def services_of_pod(cache: Cache, old: HasMetadata | None, new: HasMetadata | None) -> list[str]:
    """Return the keys of the services that a change of a pod concerns."""
    pods = [pod for pod in (old, new) if isinstance(pod, Pod)]
    services = cache.in_namespace(SERVICES, pods[-1].metadata.namespace) if pods else {}
    if not services or (_shown(pods[0]) == _shown(pods[-1]) and len(pods) == 2):
        return []
    labels = [pod.metadata.labels for pod in pods if is_endpoint(pod)]
    return [key for key, service in services.items() if _any_selected(service, labels)]


def _any_selected(service: Service, labels: Iterable[Mapping[str, str]]) -> bool:
    return any(selects(service, each) for each in labels)


def _shown(pod: Pod) -> tuple[Any, ...]:
    """Return what endpoints show of a pod, or None when it is none."""
    if not is_endpoint(pod):
        return ()
    meta = pod.metadata
    return (meta.labels, addresses_of(pod), is_ready(pod), pod.is_terminating, pod.spec.node_name)
