"""Memory and huge pages on chosen NUMA nodes: the policy Static of the memory manager.

Rule: https://kubernetes.io/docs/tasks/administer-cluster/memory-manager/
A NUMA node gives its memory either by itself or always together with the same other nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kubeberth.topology.hint import NO_OPINION, Hint, Hints, hints_where
from kubeberth.topology.machine import Machine
from kubeberth.topology.masks import Mask, members, narrowness
from kubeberth.topology.memory_tables import (
    Block,
    Tables,
    empty_tables,
    with_block,
    without_blocks,
)
from kubeberth.topology.refusal import Refusal, unexpected
from kubeberth.topology.requests import (
    Amounts,
    ContainerRequest,
    PodRequest,
    Role,
    regular_init_containers,
)

EMPTY_POOL_ERROR = "EmptyPodSharedPoolError"
Blocks = tuple[Block, ...]
# What init containers have left, by pod, NUMA nodes and type.
Reusable = Mapping[tuple[Mask, str], int]


@dataclass(frozen=True, slots=True)
class MemoryState:
    """Who has which memory.

    Parameters
    ----------
    blocks
        By pod and container.
    pools
        What a pod has as a whole, by pod; its containers have parts of it.
    reusable
        The pod that was last given memory, and what its init containers had. It goes without
        saying after a restart, and is not kept.
    """

    tables: Tables = field(default_factory=dict)
    blocks: Mapping[str, Mapping[str, Blocks]] = field(default_factory=dict)
    pools: Mapping[str, Blocks] = field(default_factory=dict)
    reusable: tuple[str, Reusable] = ("", {})

    def reusable_by(self, pod: PodRequest) -> Reusable:
        """Return what a pod's init containers leave to its other containers."""
        uid, amounts = self.reusable
        return amounts if uid == pod.uid else {}

    def of(self, pod: PodRequest, container: ContainerRequest) -> Blocks | None:
        """Return a container's blocks; None if it was given none."""
        return self.blocks.get(pod.uid, {}).get(container.name)

    def giving(self, pod: PodRequest, container: ContainerRequest, blocks: Blocks) -> MemoryState:
        """Return the state once a container has blocks; the tables are as before."""
        containers = {**self.blocks.get(pod.uid, {}), container.name: blocks}
        return replace(self, blocks={**self.blocks, pod.uid: containers})

    def without(self, uid: str) -> MemoryState:
        """Return the state once a pod is gone."""
        return self.without_containers(uid, self.blocks.get(uid, {}))

    def without_containers(self, uid: str, names: Iterable[str]) -> MemoryState:
        """Return the state once some containers of a pod have ended.

        What a pod has as a whole goes with the last of them.
        """
        containers = self.blocks.get(uid, {})
        gone = {name for name in names if name in containers}
        left = {name: blocks for name, blocks in containers.items() if name not in gone}
        others = {key: value for key, value in self.blocks.items() if key != uid}
        state = replace(self, blocks={**others, uid: left} if left else others)
        if uid not in self.pools:
            freed = [block for name in containers if name in gone for block in containers[name]]
            return replace(state, tables=without_blocks(self.tables, freed))
        if left:
            return state
        return replace(
            state,
            tables=without_blocks(self.tables, self.pools[uid]),
            pools={key: value for key, value in self.pools.items() if key != uid},
        )


@dataclass(frozen=True, slots=True)
class StaticMemoryPolicy:
    """Gives out memory.

    Parameters
    ----------
    kept
        What is reserved for the system, by NUMA id and type, in bytes.
    """

    machine: Machine
    kept: Mapping[int, Amounts]

    def initial(self) -> MemoryState:
        """Return the state of an empty node."""
        return MemoryState(empty_tables(self.machine, self.kept))

    def hints(self, state: MemoryState, pod: PodRequest, container: ContainerRequest) -> Hints:
        """Return where a container could have its memory."""
        if not pod.pins_memory:
            return NO_OPINION
        blocks = state.of(pod, container)
        if blocks is not None:
            return _present(blocks, container.memory)
        return _by_type(_hints(state, pod, container.memory), container.memory)

    def pod_hints(self, state: MemoryState, pod: PodRequest) -> Hints:
        """Return where all containers of a pod together could have their memory."""
        if not pod.pins_memory:
            return NO_OPINION
        wanted = pod.memory
        if pod.is_pooled and _flaw_of_pool(pod):
            return {type_: [] for type_ in wanted}
        for one in pod.containers:
            blocks = state.of(pod, one)
            if blocks is not None:
                return _present(blocks, wanted)
        return _by_type(_hints(state, pod, wanted), wanted)

    def allocate(
        self,
        state: MemoryState,
        pod: PodRequest,
        container: ContainerRequest,
        affinity: Hint,
    ) -> MemoryState | Refusal:
        """Give a container its memory, on the NUMA nodes of the affinity or on more of them."""
        if not pod.pins_memory:
            return state
        blocks = state.of(pod, container)
        if blocks is not None:
            return _with_reuse(state, pod, container, blocks)
        mask = _place(state, pod, container.memory, affinity)
        if isinstance(mask, Refusal):
            return mask
        blocks = _blocks(mask, container.memory)
        tables, reusable = state.tables, state.reusable_by(pod)
        for block in blocks:
            used = min(block.size_bytes, reusable.get((mask, block.type), 0))
            tables = with_block(tables, block, block.size_bytes - used)
        state = _with_reuse(replace(state, tables=tables), pod, container, blocks)
        state = state.giving(pod, container, blocks)
        return _with_used_up(state, pod, container, blocks)

    def allocate_pod(
        self, state: MemoryState, pod: PodRequest, affinity: Hint
    ) -> MemoryState | Refusal:
        """Give a pod the memory that it asks for as a whole, and its containers their parts."""
        if not pod.pins_memory:
            return state
        if flaw := _flaw_of_pool(pod):
            return Refusal(EMPTY_POOL_ERROR, flaw)
        mask = _place(state, pod, pod.memory, affinity)
        if isinstance(mask, Refusal):
            return mask
        pool = _blocks(mask, pod.memory)
        tables = state.tables
        for block in pool:
            tables = with_block(tables, block, block.size_bytes)
        state = replace(state, tables=tables, pools={**state.pools, pod.uid: pool})
        for container, part in _parts(pod):
            state = state.giving(pod, container, _blocks(mask, part))
        return state


def _blocks(mask: Mask, amounts: Amounts) -> Blocks:
    return tuple(Block(mask, type_, size) for type_, size in sorted(amounts.items()))


def _present(blocks: Blocks, wanted: Amounts) -> Hints:
    """Return the hints for somebody who has his memory; none if he now asks for another."""
    if {block.type: block.size_bytes for block in blocks} != dict(wanted):
        return NO_OPINION
    return {block.type: [Hint(block.mask, preferred=True)] for block in blocks}


def _by_type(hints: Sequence[Hint], wanted: Amounts) -> Hints:
    """Return the same hints for all types; none at all, which is no opinion, when there is none."""
    return dict.fromkeys(wanted, hints) if hints else NO_OPINION


def _hints(state: MemoryState, pod: PodRequest, wanted: Amounts) -> list[Hint]:
    tables, reusable = state.tables, state.reusable_by(pod)

    def could_ever(mask: Mask) -> bool:
        return all(
            sum(tables[id_].allocatable(type_) for id_ in members(mask)) >= size
            for type_, size in wanted.items()
        )

    def can_now(mask: Mask) -> bool:
        return (
            could_ever(mask)
            and not _is_bound_otherwise(tables, mask)
            and all(
                _free(tables, mask, type_) + reusable.get((mask, type_), 0) >= size
                for type_, size in wanted.items()
            )
        )

    return hints_where(sorted(tables), could_ever, can_now)


def _free(tables: Tables, mask: Mask, type_: str) -> int:
    return sum(tables[id_].free(type_) for id_ in members(mask))


def _is_bound_otherwise(tables: Tables, mask: Mask) -> bool:
    """Return whether one of the nodes gives its memory by itself or with others than these."""
    if mask.bit_count() == 1:
        return tables[mask.bit_length() - 1].cells.bit_count() > 1
    return _breaks_groups(tables, mask)


def _breaks_groups(tables: Tables, mask: Mask) -> bool:
    """Return whether memory on several nodes would mix with what is there; one node never does."""
    return mask.bit_count() > 1 and any(
        tables[id_].n_assignments and tables[id_].cells != mask for id_ in members(mask)
    )


def _place(state: MemoryState, pod: PodRequest, wanted: Amounts, affinity: Hint) -> Mask | Refusal:
    """Return the NUMA nodes to take memory of: those of the affinity, or of hints of its own."""
    tables = state.tables
    mask, is_preferred = affinity.mask, affinity.preferred
    if mask is None:
        own = _best(_hints(state, pod, wanted) if wanted else ())
        if own is None:
            return _refusal(
                "failed to get the default NUMA affinity, no NUMA nodes with enough memory is "
                "available"
            )
        if is_preferred and not own.preferred:
            return _refusal("failed to find the default preferred hint")
        mask, is_preferred = own.mask or 0, own.preferred
    if any(_free(tables, mask, type_) < size for type_, size in wanted.items()):
        wider = [hint for hint in _hints(state, pod, wanted) if mask & ~(hint.mask or 0) == 0]
        best = _best(wider)
        if best is None:
            return _refusal("failed to find NUMA nodes to extend the current topology hint")
        if is_preferred and not best.preferred:
            return _refusal("failed to find the extended preferred hint")
        mask = best.mask or 0
    if _breaks_groups(tables, mask):
        return _refusal("preferred hint violates NUMA node allocation")
    return mask


def _best(hints: Iterable[Hint]) -> Hint | None:
    """Return the narrowest hint, a preferred one if there is any."""
    return min(
        hints, key=lambda hint: (not hint.preferred, narrowness(hint.mask or 0)), default=None
    )


def _refusal(error: str) -> Refusal:
    return unexpected(f"[memorymanager] {error}")


def _with_reuse(
    state: MemoryState, pod: PodRequest, container: ContainerRequest, blocks: Blocks
) -> MemoryState:
    """Return the state with what later containers of the pod may use again."""
    reusable = dict(state.reusable_by(pod))
    for block in blocks:
        key = block.mask, block.type
        before = reusable.get(key, 0)
        if container.role is Role.INIT:
            reusable[key] = max(before, block.size_bytes)
        else:
            reusable[key] = max(0, before - block.size_bytes)
    return replace(state, reusable=(pod.uid, reusable))


def _with_used_up(
    state: MemoryState, pod: PodRequest, container: ContainerRequest, blocks: Blocks
) -> MemoryState:
    """Return the state with smaller blocks of those init containers whose memory is used again.

    So the blocks of a pod add up to what it takes.
    """
    left = {(block.mask, block.type): block.size_bytes for block in blocks}
    for one in regular_init_containers(pod.containers, before=container.name):
        old = state.of(pod, one)
        if not old:
            continue
        new = []
        for block in old:
            key = block.mask, block.type
            used = min(left.get(key, 0), block.size_bytes)
            left[key] = left.get(key, 0) - used
            new.append(replace(block, size_bytes=block.size_bytes - used))
        state = state.giving(pod, one, tuple(new))
    return state


def _parts(pod: PodRequest) -> Iterable[tuple[ContainerRequest, Amounts]]:
    """Yield what each container has of its pod's memory.

    Init containers run one after the other, in all that sidecars have left until then.
    """
    left, sharing = dict(pod.memory), []
    for one in pod.containers:
        if one.memory:
            yield one, one.memory
            if one.role is not Role.INIT:
                left = {type_: size - one.memory.get(type_, 0) for type_, size in left.items()}
        elif one.role is Role.INIT:
            yield one, _positive(left)
        else:
            sharing.append(one)
    for one in sharing:
        yield one, _positive(left)


def _positive(amounts: Amounts) -> Amounts:
    return {type_: size for type_, size in amounts.items() if size > 0}


def _flaw_of_pool(pod: PodRequest) -> str:
    """Return why a pod's memory does not go round; empty when it does."""
    exclusive = dict.fromkeys(pod.memory, 0)
    has_sharing = False
    for one in pod.containers:
        if one.role is not Role.INIT:
            has_sharing |= not one.memory
            for type_, size in one.memory.items():
                exclusive[type_] = exclusive.get(type_, 0) + size
            continue
        for type_, total in pod.memory.items():
            left = total - exclusive[type_]
            if one.memory.get(type_, 0) > left:
                return (
                    f"pod rejected, largest exclusive init container requests "
                    f"{one.memory[type_]} of {type_}, but only {left} available"
                )
            if not one.memory and left <= 0:
                return (
                    f"pod rejected, pod has shared init containers but no {type_} available "
                    "for them"
                )
    for type_, total in pod.memory.items():
        if has_sharing and exclusive[type_] >= total:
            return (
                f"pod rejected, sum of exclusive container {type_} requests equals pod budget, "
                "leaving no memory for shared containers"
            )
    return ""
