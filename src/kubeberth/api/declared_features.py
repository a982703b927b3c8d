"""Which declared features a pod needs of its node.

Rule: https://kubernetes.io/docs/concepts/scheduling-eviction/node-declared-features/
Matches kube-scheduler 1.36 (component-helpers/nodedeclaredfeatures).
"""

from __future__ import annotations

from kubeberth.api.core import PodSpec

_RESTART_ALL = "RestartAllContainersOnContainerExits"
_USER_NAMESPACE_ON_HOST_NETWORK = "UserNamespacesHostNetworkSupport"


def required_features(spec: PodSpec) -> frozenset[str]:
    """Return the names that a node must have in `status.declaredFeatures`."""
    needed = set()
    if any(
        rule.action == "RestartAllContainers"
        for container in (*spec.containers, *spec.init_containers)
        for rule in container.restart_policy_rules
    ):
        needed.add(_RESTART_ALL)
    if spec.host_network and spec.host_users is False:
        needed.add(_USER_NAMESPACE_ON_HOST_NETWORK)
    return frozenset(needed)
