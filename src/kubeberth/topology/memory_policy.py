"""Makes the memory policy that a kubelet is configured to have."""

from __future__ import annotations

from collections.abc import Mapping

from kubeberth.api.pod_totals import plus
from kubeberth.api.quantity import Quantity, parse_quantity
from kubeberth.topology.configuration import KubeletConfiguration, StartError
from kubeberth.topology.machine import Machine
from kubeberth.topology.memory import StaticMemoryPolicy
from kubeberth.topology.memory_tables import MEMORY

MEMORY_MANAGER = "memoryManager"
NONE, STATIC, BEST_EFFORT = "None", "Static", "BestEffort"
POLICY, RESERVED_MEMORY = "memoryManagerPolicy", "reservedMemory"


def memory_policy(
    configuration: KubeletConfiguration, machine: Machine, reserved: Mapping[str, Quantity]
) -> StaticMemoryPolicy | None:
    """Return the policy; None for the policy None.

    Parameters
    ----------
    reserved
        What is kept for the system, by resource.

    Raises
    ------
    StartError
        No such policy, or the memory kept on NUMA nodes is not what is kept for the system.
    """
    name = configuration.memory_manager_policy
    if name == NONE:
        return None
    if name == BEST_EFFORT:
        raise StartError(
            MEMORY_MANAGER, f'policy "{name}" is not available for platform "linux"', POLICY
        )
    if name != STATIC:
        raise StartError(MEMORY_MANAGER, f'unknown policy: "{name}"', POLICY)
    _check_reserved_memory(configuration, machine, reserved)
    kept = {
        entry.numa_node: {name: parse_quantity(text).units() for name, text in entry.limits.items()}
        for entry in configuration.reserved_memory
    }
    if not sum(amounts.get(MEMORY, 0) for amounts in kept.values()):
        raise StartError(
            MEMORY_MANAGER,
            "[memorymanager] you should specify the system reserved memory",
            RESERVED_MEMORY,
        )
    return StaticMemoryPolicy(machine, kept)


def _check_reserved_memory(
    configuration: KubeletConfiguration, machine: Machine, reserved: Mapping[str, Quantity]
) -> None:
    """Check that what is reserved on NUMA nodes adds up to what is reserved on the node."""
    total: dict[str, Quantity] = {}
    for entry in configuration.reserved_memory:
        if entry.numa_node not in machine.numa_ids:
            raise StartError(
                MEMORY_MANAGER,
                "the reserved memory configuration references a NUMA node "
                f"{entry.numa_node} that does not exist on this machine",
                RESERVED_MEMORY,
            )
        for name, text in entry.limits.items():
            total[name] = plus(total.get(name), parse_quantity(text))
    wanted = {name: q for name, q in reserved.items() if _is_memory(name)}
    nothing = Quantity(0)
    for name in sorted(total.keys() | wanted.keys()):
        have, need = total.get(name, nothing), wanted.get(name, nothing)
        if have.nanos != need.nanos:
            raise StartError(
                MEMORY_MANAGER,
                f'the total amount "{have}" of type "{name}" is not equal to the value "{need}" '
                "determined by Node Allocatable feature",
                RESERVED_MEMORY,
            )


def _is_memory(name: str) -> bool:
    return name == MEMORY or name.startswith("hugepages-")
