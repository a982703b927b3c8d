"""The addresses of one node's pods: each as long unused as possible, so that none is mistaken."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network


class AddressPool:
    """Hands out a range's addresses in turn; the first is the node's own end.

    Parameters
    ----------
    cidr
        Such as 10.244.1.0/24: pods get .2 to .254.
    """

    def __init__(self, cidr: str) -> None:
        network = IPv4Network(cidr)
        self._first = int(network.network_address) + 2
        self._size = max(0, network.num_addresses - 3)
        self._next = 0
        self._owners: dict[str, str] = {}

    def take(self, owner: str) -> str:
        """Return an address for a pod, by UID; empty when all are taken."""
        for _ in range(self._size):
            ip = str(IPv4Address(self._first + self._next))
            self._next = (self._next + 1) % self._size
            if ip not in self._owners:
                self._owners[ip] = owner
                return ip
        return ""

    def keep(self, owner: str, ip: str) -> None:
        """Note that a pod has had an address since before."""
        self._owners[ip] = owner

    def free(self, owner: str, ip: str) -> None:
        """Take back an address, if it is the pod's."""
        if self._owners.get(ip) == owner:
            del self._owners[ip]
