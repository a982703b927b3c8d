"""What a kubelet wrote down before it ended, and whether it can go on with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubeberth.topology.configuration import StartError
from kubeberth.topology.cpu_options import STRICT_RESERVATION
from kubeberth.topology.cpu_policy import CPU_MANAGER
from kubeberth.topology.cpus import CpuState, StaticCpuPolicy
from kubeberth.topology.cpuset import cpu_list
from kubeberth.topology.managers import Allocations
from kubeberth.topology.masks import members
from kubeberth.topology.memory import MemoryState, StaticMemoryPolicy
from kubeberth.topology.memory_policy import MEMORY_MANAGER, RESERVED_MEMORY
from kubeberth.topology.memory_tables import Block, Tables, with_block

RESERVED_CPUS = "reservedSystemCPUs"


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


@dataclass(frozen=True, slots=True)
class StateFile:
    """Where a manager of upstream keeps its state."""

    manager: str
    prefix: str
    kind: str
    name: str


CPU_STATE = StateFile(CPU_MANAGER, "", "CPU", "cpu_manager_state")
MEMORY_STATE = StateFile(MEMORY_MANAGER, "[memorymanager] ", "memory", "memory_manager_state")


def check_policy(file: StateFile, configured: str, kept: str) -> None:
    """Check that the state was written under the policy that is configured now."""
    if configured != kept:
        raise StartError(
            file.manager,
            f"could not restore state from checkpoint: {file.prefix}configured policy "
            f'"{configured}" differs from state checkpoint policy "{kept}", please drain this node '
            f"and delete the "
            f'{file.kind} manager checkpoint file "/var/lib/kubelet/{file.name}" before restarting '
            "Kubelet",
            f"{file.manager}Policy",
        )


def taken_up_cpus(policy: StaticCpuPolicy, state: CpuState) -> CpuState:
    """Return the CPU state that was kept, if it fits the machine and what is reserved on it."""
    shared, reserved = cpu_list(state.shared), cpu_list(policy.reserved)
    if not state.shared:
        if state.assigned:
            raise StartError(CPU_MANAGER, "default cpuset cannot be empty", RESERVED_CPUS)
        return policy.initial()
    if STRICT_RESERVATION in policy.options:
        if policy.reserved & state.shared:
            raise StartError(
                CPU_MANAGER,
                f'some of strictly reserved cpus: "{reserved}" are present in defaultCpuSet: '
                f'"{shared}"',
                RESERVED_CPUS,
            )
    elif not policy.reserved <= state.shared:
        raise StartError(
            CPU_MANAGER,
            f'not all reserved cpus: "{reserved}" are present in defaultCpuSet: "{shared}"',
            RESERVED_CPUS,
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
                    RESERVED_CPUS,
                )
    if known != policy.pool:
        raise StartError(
            CPU_MANAGER,
            f'current set of available CPUs "{cpu_list(policy.pool)}" doesn\'t match with CPUs in '
            f'state "{cpu_list(known)}"',
            RESERVED_CPUS,
        )
    return state


def check_memory(policy: StaticMemoryPolicy, state: MemoryState) -> None:
    """Check that the kept blocks lead from the machine as it is now to the kept tables."""
    expected = policy.initial().tables
    for uid, name, block in _assigned(state):
        _check_block(expected, uid, name, block)
        expected = with_block(expected, block, block.size_bytes)
    if not _are_alike(expected, state.tables):
        raise StartError(
            MEMORY_MANAGER,
            "[memorymanager] the expected machine state is different from the real one",
            RESERVED_MEMORY,
        )


def _assigned(state: MemoryState) -> Iterator[tuple[str, str, Block]]:
    """Yield what memory is given away, by pod and container; of a pool the pod's as a whole."""
    for uid, containers in sorted(state.blocks.items()):
        if pool := state.pools.get(uid):
            yield from ((uid, "", block) for block in pool)
            continue
        for name, blocks in sorted(containers.items()):
            yield from ((uid, name, block) for block in blocks)


def _check_block(tables: Tables, uid: str, name: str, block: Block) -> None:
    where = f"[memorymanager] (pod: {uid}, container: {name}) the memory assignment uses"
    for numa_id in members(block.mask):
        if numa_id not in tables:
            raise StartError(
                MEMORY_MANAGER, f"{where} the NUMA that does not exist", RESERVED_MEMORY
            )
        if block.type not in tables[numa_id].stocks:
            raise StartError(
                MEMORY_MANAGER, f"{where} memory resource that does not exist", RESERVED_MEMORY
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
