"""Takes CPUs evenly of several NUMA nodes: the option `distribute-cpus-across-numa`.

Matches kubelet 1.36 (`cpumanager/cpu_assignment.go`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from kubeberth.topology.cpuset import NO_CPUS, Cpus
from kubeberth.topology.machine import Machine
from kubeberth.topology.packing import Packing, Shortage, pack, sorted_numa_nodes

Free = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Spread:
    """Of which NUMA nodes CPUs are taken.

    Parameters
    ----------
    share
        How many CPUs each of `numa_ids` gives.
    rest
        The nodes that give the remainder, a group of CPUs at a time, round after round.
    imbalance
        How uneven it leaves the machine: the deviation of free CPUs over all its nodes.
    """

    numa_ids: tuple[int, ...]
    share: int
    rest: tuple[int, ...]
    imbalance: float


def spread_out(
    machine: Machine, available: Cpus, count: int, group: int, how: Packing
) -> Cpus | Shortage:
    """Return `count` of the available CPUs, of as few NUMA nodes as can give them evenly.

    What cannot be spread is packed.

    Parameters
    ----------
    group
        CPUs are handed out so many at a time.
    """
    if count % group or count <= 0 or count > len(available):
        return pack(machine, available, count, how)
    numa_ids = sorted_numa_nodes(machine, available)
    free = {id_: len(machine.cpus_of_numa_node[id_] & available) for id_ in numa_ids}
    for size in _sizes(machine, count, group, len(numa_ids)):
        if best := _best(_spreads(free, size, count, group)):
            return _taken(machine, available, count, group, how, best)
    return pack(machine, available, count, how)


def _sizes(machine: Machine, count: int, group: int, n_available: int) -> range:
    """Return how many NUMA nodes to try, from the fewest that could ever do."""
    per_node = _ceil(_ceil(len(machine.cpus), group), len(machine.cpus_of_numa_node))
    groups = _ceil(count, group)
    return range(_ceil(groups, per_node), min(groups, n_available) + 1)


def _ceil(value: int, divisor: int) -> int:
    return -(-value // divisor)


def _best(spreads: Iterator[Spread]) -> Spread | None:
    """Return the first one of the least imbalance; a perfect one ends the search."""
    best: Spread | None = None
    for spread in spreads:
        if best is None or spread.imbalance < best.imbalance:
            best = spread
        if best.imbalance == 0:
            break
    return best


def _spreads(free: Free, size: int, count: int, group: int) -> Iterator[Spread]:
    """Yield the best spread over each combination of NUMA nodes that can give so many CPUs."""
    share = count // size // group * group
    for ids in combinations(free, size):
        if sum(free[id_] // group for id_ in ids) * group < count:
            continue
        if any(free[id_] < share for id_ in ids):
            continue
        left = {id_: n - share if id_ in ids else n for id_, n in free.items()}
        rest = count - share * size
        if not rest:
            yield Spread(ids, share, (), _deviation(left))
        elif best := _best(_rests(left, ids, share, rest, group)):
            yield best


def _rests(left: Free, ids: tuple[int, ...], share: int, rest: int, group: int) -> Iterator[Spread]:
    """Yield the ways to take the remainder of some of the nodes, of as many as can be first."""
    able = [id_ for id_ in ids if left[id_] >= group]
    for size in range(len(able), 0, -1):
        for subset in combinations(able, size):
            if sum(left[id_] // group for id_ in subset) * group < rest:
                continue
            after = dict(left)
            for id_ in _rounds(subset, after, rest, group):
                after[id_] -= group
            yield Spread(ids, share, subset, _deviation(after))


def _rounds(ids: Sequence[int], left: Free, rest: int, group: int) -> Iterator[int]:
    """Yield who gives the next group, in turns, until the rest is given.

    `left` is looked at anew each time: the caller takes from it in between.
    """
    while rest > 0:
        for id_ in ids:
            if rest > 0 and left[id_] >= group:
                yield id_
                rest -= group


def _deviation(free: Free) -> float:
    """Return the standard deviation; kubelets round it and the mean to three decimals."""
    mean = _round3(sum(free.values()) / len(free))
    return _round3((sum((n - mean) ** 2 for n in free.values()) / len(free)) ** 0.5)


def _round3(value: float) -> float:
    """Round half up, as Go does for what is not negative."""
    return int(value * 1000 + 0.5) / 1000


def _taken(
    machine: Machine, available: Cpus, count: int, group: int, how: Packing, spread: Spread
) -> Cpus | Shortage:
    packed = Packing(across_cores=how.across_cores)
    taken = NO_CPUS

    def take(id_: int, number: int) -> None:
        nonlocal taken
        cpus = pack(machine, (machine.cpus_of_numa_node[id_] & available) - taken, number, packed)
        assert not isinstance(cpus, Shortage), "a spread takes no more than there is"
        taken |= cpus

    for id_ in spread.numa_ids:
        take(id_, spread.share)
    left = {id_: len((machine.cpus_of_numa_node[id_] & available) - taken) for id_ in spread.rest}
    for id_ in _rounds(spread.rest, left, count - len(taken), group):
        take(id_, group)
        left[id_] -= group
    return taken
