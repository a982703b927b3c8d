"""The options of the static CPU policy, and which of them go together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubeberth.api.booleans import BooleanTextError, parse_bool
from kubeberth.topology.configuration import (
    ALPHA_CPU_OPTIONS_GATE,
    BETA_CPU_OPTIONS_GATE,
    KubeletConfiguration,
)
from kubeberth.topology.machine import Machine
from kubeberth.topology.merge import SINGLE_NUMA_NODE

FULL_PCPUS_ONLY = "full-pcpus-only"
ACROSS_NUMA = "distribute-cpus-across-numa"
ALIGN_BY_SOCKET = "align-by-socket"
ACROSS_CORES = "distribute-cpus-across-cores"
STRICT_RESERVATION = "strict-cpu-reservation"
BY_UNCORE = "prefer-align-cpus-by-uncorecache"

_STABLE = (FULL_PCPUS_ONLY, STRICT_RESERVATION, BY_UNCORE)
_BETA = (ACROSS_NUMA,)
_ALPHA = (ALIGN_BY_SOCKET, ACROSS_CORES)
_NOT_TOGETHER = (
    (FULL_PCPUS_ONLY, ACROSS_CORES),
    (ACROSS_NUMA, ACROSS_CORES),
    (BY_UNCORE, ACROSS_CORES),
    (BY_UNCORE, ACROSS_NUMA),
)


class CpuOptionError(ValueError):
    """The options cannot be had."""


@dataclass(frozen=True, slots=True)
class CpuOptions:
    """The options that are on, by name."""

    names: frozenset[str] = frozenset()

    def __contains__(self, name: str) -> bool:
        return name in self.names


def cpu_options(configuration: KubeletConfiguration, machine: Machine) -> CpuOptions:
    """Return the options that a configuration turns on.

    Raises
    ------
    CpuOptionError
        There is no such option, it is not enabled, has no Boolean value, or cannot be had together
        with another one or on such a machine.
    """
    options = configuration.cpu_manager_policy_options
    on = CpuOptions(frozenset(_turned_on(configuration, options)))
    for one, other in _NOT_TOGETHER:
        if one in on and other in on:
            raise CpuOptionError(
                f"static policy options {one} and {other} can not be used at the same time"
            )
    if ALIGN_BY_SOCKET in on:
        _check_sockets(configuration, machine)
    return on


def _turned_on(configuration: KubeletConfiguration, options: dict[str, str]) -> Iterator[str]:
    for name, text in sorted(options.items()):
        _check_available(configuration, name)
        try:
            if parse_bool(text):
                yield name
        except BooleanTextError as error:
            raise CpuOptionError(f'bad value for option "{name}": {error}') from None


def _check_available(configuration: KubeletConfiguration, name: str) -> None:
    if name not in (*_STABLE, *_BETA, *_ALPHA):
        raise CpuOptionError(f'unknown CPU Manager Policy option: "{name}"')
    for level, names, gate in (
        ("Alpha", _ALPHA, ALPHA_CPU_OPTIONS_GATE),
        ("Beta", _BETA, BETA_CPU_OPTIONS_GATE),
    ):
        if name in names and not configuration.has(gate):
            raise CpuOptionError(
                f"CPU Manager Policy {level}-level Options not enabled, "
                f'but option "{name}" provided'
            )


def _check_sockets(configuration: KubeletConfiguration, machine: Machine) -> None:
    if configuration.topology_manager_policy == SINGLE_NUMA_NODE:
        raise CpuOptionError(
            "Topolgy manager single-numa-node policy is incompatible with CPUManager "
            "align-by-socket policy option"
        )
    if len(machine.cpus_of_socket) > len(machine.cpus_of_numa_node):
        raise CpuOptionError(
            "Align by socket is not compatible with hardware where number of sockets are more "
            "than number of NUMA"
        )
