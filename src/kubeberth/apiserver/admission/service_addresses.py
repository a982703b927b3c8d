"""ServiceAddresses: a service gets its cluster IP and node ports.

Upstream does this in the service registry (`pkg/registry/core/service/storage/alloc.go` of
Kubernetes 1.36); here it is one more plugin, the last one that fills in.
"""

from __future__ import annotations

import ipaddress
import random
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from kubeberth.api.scheme import SERVICES
from kubeberth.apiserver.admission.chain import Attributes, Plugin, Reader

HEADLESS = "None"
NODE_PORTS = range(30_000, 32_768)
NODE_PORT_TYPES = ("NodePort", "LoadBalancer")
# Upstream keeps the lower part of the range for addresses that people choose themselves.
STATIC_PART = 256


class ServiceAddresses(Plugin):
    """Chooses addresses and ports that no other service has."""

    resources = (SERVICES,)

    def __init__(self, reader: Reader, chance: random.Random, cidr: str) -> None:
        self._reader = reader
        self._chance = chance
        self._network = ipaddress.ip_network(cidr)
        # Handed out, and perhaps not stored yet.
        self._recent: deque[str | int] = deque(maxlen=256)

    async def admit(self, attributes: Attributes) -> None:
        """Fill in what a new or changed service lacks."""
        service = attributes.document
        if service is None or attributes.subresource:
            return
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            return
        old = (attributes.old or {}).get("spec", {})
        if attributes.dry_run and not spec.get("clusterIP") and not old:
            spec["clusterIP"] = str(self._network[0])  # nobody's: none is handed out on trial
        self._fill_in_address(spec, old)
        if spec.get("type") in NODE_PORT_TYPES:
            self._fill_in_ports(spec.get("ports", ()), old.get("ports", ()))

    def _fill_in_address(self, spec: dict[str, Any], old: dict[str, Any]) -> None:
        if not spec.get("clusterIP"):
            spec["clusterIP"] = old.get("clusterIP") or self._free_address()
        if not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        spec.setdefault("ipFamilies", old.get("ipFamilies", ["IPv4"]))
        spec.setdefault("ipFamilyPolicy", old.get("ipFamilyPolicy", "SingleStack"))

    def _fill_in_ports(
        self, ports: Iterable[dict[str, Any]], old: Iterable[dict[str, Any]]
    ) -> None:
        before = {(port.get("protocol"), port["port"]): port.get("nodePort") for port in old}
        for port in ports:
            if not port.get("nodePort"):
                known = before.get((port.get("protocol"), port["port"]))
                port["nodePort"] = known or self._free_port()

    def _free_address(self) -> str:
        used = {spec.get("clusterIP") for spec in self._specs()} | set(self._recent)
        n_addresses = self._network.num_addresses
        first = min(STATIC_PART, n_addresses // 2)
        start = self._chance.randrange(first, n_addresses - 1)
        for index in (*range(start, n_addresses - 1), *range(2, start)):
            address = str(self._network[index])
            if address not in used:
                self._recent.append(address)
                return address
        return HEADLESS

    def _free_port(self) -> int:
        used = {port.get("nodePort") for spec in self._specs() for port in spec.get("ports", ())}
        used |= set(self._recent)
        free = [port for port in NODE_PORTS if port not in used]
        port = self._chance.choice(free or NODE_PORTS)
        self._recent.append(port)
        return port

    def _specs(self) -> Iterator[dict[str, Any]]:
        return (service["spec"] for service in self._reader.find_all(SERVICES))
