"""Makes the CPU policy that a kubelet is configured to have."""

from __future__ import annotations

from collections.abc import Mapping

from kubeberth.api.quantity import Quantity
from kubeberth.topology.configuration import KubeletConfiguration, StartError
from kubeberth.topology.cpu_options import CpuOptionError, cpu_options
from kubeberth.topology.cpus import StaticCpuPolicy, take
from kubeberth.topology.machine import Machine
from kubeberth.topology.packing import Shortage

CPU_MANAGER = "cpuManager"
NONE, STATIC = "none", "static"
OPTIONS = "cpuManagerPolicyOptions"


def cpu_policy(
    configuration: KubeletConfiguration, machine: Machine, reserved: Mapping[str, Quantity]
) -> StaticCpuPolicy | None:
    """Return the policy; None for the policy none.

    Parameters
    ----------
    reserved
        What is kept for the system, by resource.

    Raises
    ------
    StartError
        No such policy or option, or no CPUs to keep for the system.
    """
    name = configuration.cpu_manager_policy
    options = configuration.cpu_manager_policy_options
    if name == NONE:
        if options:
            listed = " ".join(f"{key}:{value}" for key, value in sorted(options.items()))
            raise StartError(
                CPU_MANAGER,
                f"new none policy error: None policy: received unsupported options=map[{listed}]",
                OPTIONS,
            )
        return None
    if name != STATIC:
        raise StartError(CPU_MANAGER, f'unknown policy: "{name}"', "cpuManagerPolicy")
    if "cpu" not in reserved:
        raise StartError(
            CPU_MANAGER,
            "[cpumanager] unable to determine reserved CPU resources for static policy",
            "kubeReserved",
        )
    try:
        on = cpu_options(configuration, machine)
    except CpuOptionError as error:
        raise StartError(CPU_MANAGER, f"new static policy error: {error}", OPTIONS) from None
    count = -(-reserved["cpu"].milli() // 1000)
    cpus = configuration.explicit_cpus or take(machine, machine.cpus, count, on)
    if isinstance(cpus, Shortage):
        raise StartError(
            CPU_MANAGER,
            "new static policy error: [cpumanager] unable to reserve the required amount of CPUs "
            f"(size of  did not equal {count})",
            "kubeReserved",
        )
    if unknown := sorted(cpus - machine.cpus):
        raise StartError(
            CPU_MANAGER,
            "new static policy error: [cpumanager] unable to build the reserved physical CPUs from "
            f"the reserved set: unknown CPU ID: {unknown[0]}",
            "reservedSystemCPUs",
        )
    return StaticCpuPolicy(machine, cpus, on)
