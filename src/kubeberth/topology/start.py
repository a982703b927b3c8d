"""Starts the resource managers: makes their policies, and takes up the state that was kept.

Matches kubelet 1.36 (`cm/container_manager_linux.go`): first all managers are made, the topology
manager first, then the CPU and the memory manager take up their state.
"""

from __future__ import annotations

from dataclasses import replace

from kubeberth.topology.configuration import KubeletConfiguration, reservation
from kubeberth.topology.cpu_policy import cpu_policy
from kubeberth.topology.devices import DevicePolicy, Plugins
from kubeberth.topology.kept_state import (
    CPU_STATE,
    MEMORY_STATE,
    KeptState,
    check_memory,
    check_policy,
    taken_up_cpus,
)
from kubeberth.topology.machine import Machine
from kubeberth.topology.managers import Allocations, Managers
from kubeberth.topology.memory_policy import memory_policy
from kubeberth.topology.topology_options import topology_policy


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
        cpu_policy(configuration, machine, reserved),
        memory_policy(configuration, machine, reserved),
        DevicePolicy(plugins),
    )
    if kept is None:
        return managers, managers.initial()
    allocations = kept.allocations
    check_policy(CPU_STATE, configuration.cpu_manager_policy, kept.cpu_policy)
    if managers.cpus is not None:
        allocations = replace(allocations, cpus=taken_up_cpus(managers.cpus, allocations.cpus))
    check_policy(MEMORY_STATE, configuration.memory_manager_policy, kept.memory_policy)
    if managers.memory is not None:
        check_memory(managers.memory, allocations.memory)
    return managers, allocations
