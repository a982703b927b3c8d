"""Starts the resource managers: makes their policies, and checks the state that was kept.

Matches kubelet 1.36 (`cm/container_manager_linux.go`): first all managers are made, the topology
manager first, then the CPU and the memory manager take up their state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kubeberth.api.pod_totals import plus
from kubeberth.api.quantity import Quantity, parse_quantity
from kubeberth.topology.configuration import KubeletConfiguration, StartError, reservation
from kubeberth.topology.cpu_options import STRICT_RESERVATION, CpuOptionError, cpu_options
from kubeberth.topology.cpus import CpuState, StaticCpuPolicy, take
from kubeberth.topology.cpuset import cpu_list
from kubeberth.topology.devices import DevicePolicy, Plugins
from kubeberth.topology.machine import Machine
from kubeberth.topology.managers import Allocations, Managers
from kubeberth.topology.masks import members
from kubeberth.topology.memory import MemoryState, StaticMemoryPolicy
from kubeberth.topology.memory_tables import MEMORY, Tables, with_block
from kubeberth.topology.packing import Shortage
from kubeberth.topology.topology_options import topology_policy

CPU_MANAGER, MEMORY_MANAGER = "cpuManager", "memoryManager"
CPU_NONE, CPU_STATIC = "none", "static"
MEMORY_NONE, MEMORY_STATIC, MEMORY_BEST_EFFORT = "None", "Static", "BestEffort"


@dataclass(frozen=True, slots=True)
class KeptState:
    """What a kubelet wrote down before it ended.

    Parameters
    ----------
    cpu_policy, memory_policy
        The policies under which it was written.
    """

    cpu_policy: str
    memory_policy: str
    allocations: Allocations


def start(
    machine: Machine,
    configuration: KubeletConfiguration,
    plugins: Plugins,
    kept: KeptState | None = None,
) -> tuple[Managers, Allocations]:
    """Return the managers, and the allocations to go on with.

    Raises
    ------
    StartError
        The configuration, or the state in the light of it, is none to start with.
    """
    topology = topology_policy(configuration, machine)
    reserved = reservation(configuration, machine)
    managers = Managers(
        topology,
        configuration.topology_manager_scope,
        _cpu_policy(configuration, machine, reserved),
        _memory_policy(configuration, machine, reserved),
        DevicePolicy(plugins),
    )
    if kept is None:
        return managers, managers.initial()
    allocations = kept.allocations
    _check_policy(_CPU_STATE, configuration.cpu_manager_policy, kept.cpu_policy)
    if managers.cpus is not None:
        allocations = replace(allocations, cpus=_taken_up(managers.cpus, allocations.cpus))
    _check_policy(_MEMORY_STATE, configuration.memory_manager_policy, kept.memory_policy)
    if managers.memory is not None:
        _check_memory(managers.memory, allocations.memory)
    return managers, allocations


def _cpu_policy(
    configuration: KubeletConfiguration, machine: Machine, reserved: Mapping[str, Quantity]
) -> StaticCpuPolicy | None:
    name = configuration.cpu_manager_policy
    options = configuration.cpu_manager_policy_options
    if name == CPU_NONE:
        if options:
            listed = " ".join(f"{key}:{value}" for key, value in sorted(options.items()))
            raise StartError(
                CPU_MANAGER,
                "new none policy error: None policy: received unsupported "
                f"options=map[{listed}]",
            )
        return None
    if name != CPU_STATIC:
        raise StartError(CPU_MANAGER, f'unknown policy: "{name}"')
    if "cpu" not in reserved:
        raise StartError(
            CPU_MANAGER,
            "[cpumanager] unable to determine reserved CPU resources for static policy",
        )
    try:
        on = cpu_options(configuration, machine)
    except CpuOptionError as error:
        raise StartError(CPU_MANAGER, f"new static policy error: {error}") from None
    count = -(-reserved["cpu"].milli() // 1000)
    cpus = configuration.explicit_cpus or take(machine, machine.cpus, count, on)
    if isinstance(cpus, Shortage):
        raise StartError(
            CPU_MANAGER,
            "new static policy error: [cpumanager] unable to reserve the required amount of CPUs "
            f"(size of  did not equal {count})",
        )
    return StaticCpuPolicy(machine, cpus, on)


def _memory_policy(
    configuration: KubeletConfiguration, machine: Machine, reserved: Mapping[str, Quantity]
) -> StaticMemoryPolicy | None:
    name = configuration.memory_manager_policy
    if name == MEMORY_NONE:
        return None
    if name == MEMORY_BEST_EFFORT:
        raise StartError(
            MEMORY_MANAGER, f'policy "{name}" is not available for platform "linux"'
        )
    if name != MEMORY_STATIC:
        raise StartError(MEMORY_MANAGER, f'unknown policy: "{name}"')
    _check_reserved_memory(configuration, machine, reserved)
    kept = {
        entry.numa_node: {name: parse_quantity(text).units() for name, text in entry.limits.items()}
        for entry in configuration.reserved_memory
    }
    if not sum(amounts.get(MEMORY, 0) for amounts in kept.values()):
        raise StartError(
            MEMORY_MANAGER, "[memorymanager] you should specify the system reserved memory"
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
            )


def _is_memory(name: str) -> bool:
    return name == MEMORY or name.startswith("hugepages-")


@dataclass(frozen=True, slots=True)
class _StateFile:
    manager: str
    prefix: str
    kind: str
    name: str


_CPU_STATE = _StateFile(CPU_MANAGER, "", "CPU", "cpu_manager_state")
_MEMORY_STATE = _StateFile(MEMORY_MANAGER, "[memorymanager] ", "memory", "memory_manager_state")


def _check_policy(file: _StateFile, configured: str, kept: str) -> None:
    if configured != kept:
        raise StartError(
            file.manager,
            f'could not restore state from checkpoint: {file.prefix}configured policy "{configured}" '
            f'differs from state checkpoint policy "{kept}", please drain this node and delete the '
            f'{file.kind} manager checkpoint file "/var/lib/kubelet/{file.name}" before restarting '
            "Kubelet",
        )


def _taken_up(policy: StaticCpuPolicy, state: CpuState) -> CpuState:
    """Return the CPU state that was kept, if it fits the machine and what is reserved on it."""
    shared, reserved = cpu_list(state.shared), cpu_list(policy.reserved)
    if not state.shared:
        if state.assigned:
            raise StartError(CPU_MANAGER, "default cpuset cannot be empty")
        return policy.initial()
    if STRICT_RESERVATION in policy.options:
        if policy.reserved & state.shared:
            raise StartError(
                CPU_MANAGER,
                f'some of strictly reserved cpus: "{reserved}" are present in defaultCpuSet: '
                f'"{shared}"',
            )
    elif not policy.reserved <= state.shared:
        raise StartError(
            CPU_MANAGER,
            f'not all reserved cpus: "{reserved}" are present in defaultCpuSet: "{shared}"',
        )
    known = state.shared.union(*state.pools.values())
    for uid, containers in sorted(state.assigned.items()):
        for name, cpus in sorted(containers.items()):
            known |= cpus
            if cpus & state.shared:
                raise StartError(
                    CPU_MANAGER,
                    f'pod: {uid}, container: {name} cpuset: "{cpu_list(cpus)}" overlaps with '
                    f'default cpuset "{shared}"',
                )
    if known != policy.pool:
        raise StartError(
            CPU_MANAGER,
            f'current set of available CPUs "{cpu_list(policy.pool)}" doesn\'t match with CPUs in '
            f'state "{cpu_list(known)}"',
        )
    return state


def _check_memory(policy: StaticMemoryPolicy, state: MemoryState) -> None:
    """Check that the kept blocks lead from the machine as it is now to the kept tables."""
    expected = policy.initial().tables
    for uid, containers in state.blocks.items():
        pool = state.pools.get(uid)
        blocks = pool or [block for entry in containers.values() for block in entry]
        for block in blocks:
            expected = with_block(expected, block, block.size_bytes)
    if not _are_alike(expected, state.tables):
        raise StartError(
            MEMORY_MANAGER,
            "[memorymanager] the expected machine state is different from the real one",
        )


def _are_alike(one: Tables, other: Tables) -> bool:
    """Return whether two machines have the same memory, and groups of nodes the same left."""
    return one.keys() == other.keys() and all(
        _summary(one, numa_id) == _summary(other, numa_id) for numa_id in one
    )


def _summary(tables: Tables, numa_id: int) -> object:
    table = tables[numa_id]
    return (
        table.n_assignments,
        table.cells,
        {
            name: (
                stock.total,
                stock.kept,
                stock.allocatable,
                sum(tables[id_].free(name) for id_ in members(table.cells)),
            )
            for name, stock in table.stocks.items()
        },
    )
