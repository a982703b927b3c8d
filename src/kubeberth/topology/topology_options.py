"""Makes the topology policy that a kubelet is configured to have."""

from __future__ import annotations

from kubeberth.api.booleans import BooleanTextError, parse_bool
from kubeberth.api.integers import IntegerTextError, parse_int
from kubeberth.topology.configuration import KubeletConfiguration, StartError
from kubeberth.topology.machine import Machine
from kubeberth.topology.masks import narrowness
from kubeberth.topology.merge import (
    BEST_EFFORT,
    NONE,
    RESTRICTED,
    SINGLE_NUMA_NODE,
    Narrowness,
    TopologyPolicy,
    closeness,
)

MANAGER = "topologyManager"
OPTIONS = "topologyManagerPolicyOptions"
CONTAINER_SCOPE, POD_SCOPE = "container", "pod"

_CLOSEST = "prefer-closest-numa-nodes"
_MOST = "max-allowable-numa-nodes"
# More make so many sets of nodes that upstream's search takes too long.
_DEFAULT_MOST = 8


def topology_policy(configuration: KubeletConfiguration, machine: Machine) -> TopologyPolicy | None:
    """Return the policy; None for the policy none, which reads no option.

    Raises
    ------
    StartError
        No such policy, scope or option, or the machine is none for it.
    """
    name, scope = configuration.topology_manager_policy, configuration.topology_manager_scope
    if name == NONE:
        return None
    prefers_closest, most = _options(configuration.topology_manager_policy_options)
    narrower = _closest(machine) if prefers_closest else narrowness
    if len(machine.numa_nodes) > most:
        raise StartError(
            MANAGER, f"unsupported on machines with more than {most} NUMA Nodes", OPTIONS
        )
    if name not in (BEST_EFFORT, RESTRICTED, SINGLE_NUMA_NODE):
        raise StartError(MANAGER, f'unknown policy: "{name}"', "topologyManagerPolicy")
    if scope not in (CONTAINER_SCOPE, POD_SCOPE):
        raise StartError(MANAGER, f'unknown scope: "{scope}"', "topologyManagerScope")
    if name == SINGLE_NUMA_NODE:  # one node is never closer than another
        narrower = narrowness
    return TopologyPolicy(name, machine.numa_ids, narrower)


def _options(options: dict[str, str]) -> tuple[bool, int]:
    """Return whether near nodes are better, and how many nodes a machine may have."""
    prefers_closest, most = False, _DEFAULT_MOST
    for name, text in sorted(options.items()):
        if name not in (_CLOSEST, _MOST):
            raise StartError(MANAGER, f'unknown Topology Manager Policy option: "{name}"', OPTIONS)
        try:
            if name == _CLOSEST:
                prefers_closest = parse_bool(text)
            else:
                most = parse_int(text, "Atoi")
        except (BooleanTextError, IntegerTextError) as error:
            raise StartError(MANAGER, f'{_UNREADABLE[name]} "{name}": {error}', OPTIONS) from None
    if most < _DEFAULT_MOST:
        text = f'the minimum value of "{_MOST}" should not be less than {_DEFAULT_MOST}'
        raise StartError(MANAGER, text, OPTIONS)
    return prefers_closest, most


_UNREADABLE = {
    _CLOSEST: "bad value for option",
    _MOST: "unable to convert policy option to integer",
}


def _closest(machine: Machine) -> Narrowness:
    if not all(node.distances for node in machine.numa_nodes):
        raise StartError(
            MANAGER,
            "cannot discover NUMA topology: error getting NUMA distances from cadvisor",
            OPTIONS,
        )
    return closeness({node.id: node.distances for node in machine.numa_nodes})
