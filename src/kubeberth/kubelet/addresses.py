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
        self._owner_by_ip: dict[str, str] = {}
        self._ip_by_owner: dict[str, str] = {}

    def address_of(self, owner: str) -> str:
        """Return the address of a pod, by UID; empty when it has none."""
        return self._ip_by_owner.get(owner, "")

    def take(self, owner: str) -> str:
        """Return an address for a pod; empty when all are taken."""
        if owner in self._ip_by_owner:
            return self._ip_by_owner[owner]
        for _ in range(self._size):
            ip = str(IPv4Address(self._first + self._next))
            self._next = (self._next + 1) % self._size
            if ip not in self._owner_by_ip:
                self._assign(owner, ip)
                return ip
        return ""

    def keep(self, owner: str, ip: str) -> None:
        """Note that a pod has had an address since before."""
        self._assign(owner, ip)

    def free(self, owner: str) -> None:
        """Take back a pod's address, if it has one."""
        ip = self._ip_by_owner.pop(owner, None)
        if ip is not None and self._owner_by_ip.get(ip) == owner:
            del self._owner_by_ip[ip]

    def _assign(self, owner: str, ip: str) -> None:
        self._owner_by_ip[ip] = owner
        self._ip_by_owner[owner] = ip
