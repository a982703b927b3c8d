"""Which kernel parameters pods may set.

Rule: https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/
Matches kubelet 1.36 (`pkg/kubelet/sysctl`). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubeberth.api.pod_security import SAFE_SYSCTLS
from kubeberth.kubelet.pod import KubeletPod
from kubeberth.topology.refusal import Refusal

# By prefix: a pod that shares the namespace of its host must not set its parameters.
_NAMESPACES = {
    "kernel.sem": "IPC",
    "kernel.shm": "IPC",
    "kernel.msg": "IPC",
    "fs.mqueue.": "IPC",
    "net.": "Net",
}
_SWAPPED = str.maketrans("./", "/.")


def namespace_of(sysctl: str) -> str:
    """Return the namespace that a parameter belongs to; empty for one that all pods share."""
    return next((ns for prefix, ns in _NAMESPACES.items() if sysctl.startswith(prefix)), "")


def dotted(sysctl: str) -> str:
    """Return a parameter with dots between its parts; `net/core/x` is `net.core.x`."""
    separators = [character for character in sysctl if character in "./"]
    return sysctl.translate(_SWAPPED) if separators[:1] == ["/"] else sysctl


def forbidden(pod: KubeletPod, allowed_unsafe: Iterable[str]) -> Refusal | None:
    """Return why a pod may not set the parameters that it wants to.

    Parameters
    ----------
    allowed_unsafe
        Names, and prefixes with a `*` behind, that are allowed besides the safe ones.
    """
    context = pod.spec.security_context
    for sysctl in context.sysctls if context is not None else ():
        if flaw := _flaw(dotted(sysctl.name), pod, [dotted(name) for name in allowed_unsafe]):
            return Refusal("SysctlForbidden", f"forbidden sysctl: {flaw}")
    return None


def _flaw(sysctl: str, pod: KubeletPod, allowed: Iterable[str]) -> str:
    is_allowed = sysctl in SAFE_SYSCTLS or any(
        sysctl.startswith(name[:-1]) if name.endswith("*") else sysctl == name for name in allowed
    )
    if not is_allowed:
        return f'"{sysctl}" not allowlisted'
    namespace = namespace_of(sysctl)
    shares = {"IPC": pod.spec.host_ipc, "Net": pod.spec.host_network}
    if shares.get(namespace):
        return f'"{sysctl}" not allowed with host {namespace} enabled'
    return ""
