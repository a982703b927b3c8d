"""The fields of KubeletConfiguration that the resource managers read, and what is wrong with them.

https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
"""

from __future__ import annotations

import msgspec

from kubeberth.api.core import ResourceList
from kubeberth.api.meta import ApiStruct
from kubeberth.api.pod_totals import plus
from kubeberth.api.quantity import Quantity, parse_quantity
from kubeberth.topology.cpuset import Cpus, parse_cpus
from kubeberth.topology.machine import Machine

ALPHA_CPU_OPTIONS_GATE = "CPUManagerPolicyAlphaOptions"
BETA_CPU_OPTIONS_GATE = "CPUManagerPolicyBetaOptions"
POD_LEVEL_GATE = "PodLevelResourceManagers"
# Their defaults in Kubernetes 1.36.
_GATES = {ALPHA_CPU_OPTIONS_GATE: False, BETA_CPU_OPTIONS_GATE: True, POD_LEVEL_GATE: False}

MEMORY_SIGNAL = "memory.available"


class MemoryReservation(ApiStruct, frozen=True):
    """What of a NUMA node is kept for the system, by type of memory."""

    numa_node: int = 0
    limits: ResourceList = {}


class KubeletConfiguration(ApiStruct, frozen=True, forbid_unknown_fields=True):
    """How a kubelet deals out what its machine has, and what it lets pods do."""

    api_version: str = ""
    kind: str = ""
    topology_manager_policy: str = "none"
    topology_manager_scope: str = "container"
    topology_manager_policy_options: dict[str, str] = {}
    cpu_manager_policy: str = "none"
    cpu_manager_policy_options: dict[str, str] = {}
    memory_manager_policy: str = "None"
    reserved_memory: tuple[MemoryReservation, ...] = ()
    reserved_system_cpus: str = msgspec.field(default="", name="reservedSystemCPUs")
    kube_reserved: ResourceList = {}
    system_reserved: ResourceList = {}
    eviction_hard: dict[str, str] = {}
    feature_gates: dict[str, bool] = {}
    allowed_unsafe_sysctls: tuple[str, ...] = ()
    max_pods: int = 110

    def has(self, gate: str) -> bool:
        """Return whether a feature gate is on."""
        return self.feature_gates.get(gate, _GATES[gate])

    @property
    def explicit_cpus(self) -> Cpus:
        """The CPUs that are reserved by name."""
        return parse_cpus(self.reserved_system_cpus)


class StartError(Exception):
    """A kubelet does not start with such a configuration, or with such a state.

    Parameters
    ----------
    manager
        Which one refuses: topologyManager, cpuManager or memoryManager.
    field
        The field of the configuration that it is about.
    """

    def __init__(self, manager: str, message: str, field: str) -> None:
        self.manager, self.message, self.field = manager, message, field
        super().__init__(message)


def reservation(configuration: KubeletConfiguration, machine: Machine) -> dict[str, Quantity]:
    """Return what is kept for the system and the kubelet, by resource; nothing of zero.

    CPUs that are reserved by name stand for the amounts of CPU.
    """
    parts = [dict(configuration.kube_reserved), dict(configuration.system_reserved)]
    total: dict[str, Quantity] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = plus(total.get(name), parse_quantity(amount))
    if threshold := configuration.eviction_hard.get(MEMORY_SIGNAL):
        total["memory"] = plus(total.get("memory"), _threshold(threshold, machine))
    if configuration.reserved_system_cpus:
        total["cpu"] = parse_quantity(len(configuration.explicit_cpus))
    return {name: quantity for name, quantity in total.items() if quantity.nanos}


def _threshold(text: str, machine: Machine) -> Quantity:
    """Return an eviction threshold, which may be a percentage of the machine's memory."""
    if not text.endswith("%"):
        return parse_quantity(text)
    memory_bytes = sum(node.memory_bytes for node in machine.numa_nodes)
    return Quantity(int(memory_bytes * float(text[:-1]) / 100) * 10**9, "BinarySI")
