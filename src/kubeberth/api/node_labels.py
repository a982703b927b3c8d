"""The labels of nodes that Kubernetes knows, and which of all a kubelet may set on its own Node.

Who isolates workloads by a label must take one that a node cannot give itself.
Rule: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
Matches `k8s.io/kubelet/pkg/apis/well_known_labels.go` and NodeRestriction of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping

HOSTNAME = "kubernetes.io/hostname"
OS = "kubernetes.io/os"
ARCH = "kubernetes.io/arch"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
BETA_ZONE = "failure-domain.beta.kubernetes.io/zone"
BETA_REGION = "failure-domain.beta.kubernetes.io/region"
BETA_INSTANCE_TYPE = "beta.kubernetes.io/instance-type"
# Deprecated, but kubelets still write them.
BETA_OS = "beta.kubernetes.io/os"
BETA_ARCH = "beta.kubernetes.io/arch"

RENAMED = {
    BETA_ARCH: ("1.14", ARCH),
    BETA_OS: ("1.14", OS),
    BETA_INSTANCE_TYPE: ("1.17", INSTANCE_TYPE),
    BETA_REGION: ("1.17", REGION),
    BETA_ZONE: ("1.17", ZONE),
}
"""Labels that have a new name: since when, and which."""

# Of labels that nobody but administrators sets; also as the end of a longer domain.
PROTECTED = "node-restriction.kubernetes.io"
_RESERVED = ("kubernetes.io", "k8s.io")
_OPEN_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_OPEN_KEYS = frozenset((HOSTNAME, OS, ARCH, ZONE, REGION, INSTANCE_TYPE, *RENAMED))


def default_labels(name: str) -> dict[str, str]:
    """Return the labels that every kubelet gives its node."""
    return {BETA_ARCH: "amd64", BETA_OS: "linux", ARCH: "amd64", HOSTNAME: name, OS: "linux"}


def is_open_to_kubelet(key: str) -> bool:
    """Return whether a kubelet may set, change and remove a label of its own Node."""
    domain, slash, _ = key.partition("/")
    if not slash:
        return True
    if _is_within(domain, PROTECTED):
        return False
    if not any(_is_within(domain, reserved) for reserved in _RESERVED):
        return True
    return key in _OPEN_KEYS or any(_is_within(domain, allowed) for allowed in _OPEN_DOMAINS)


def closed_to_kubelet(new: Mapping[str, str], old: Mapping[str, str] | None = None) -> list[str]:
    """Return the labels, sorted, that no kubelet may change as it is done here."""
    before = old or {}
    changed = {key for key in {*new, *before} if new.get(key) != before.get(key)}
    return sorted(key for key in changed if not is_open_to_kubelet(key))


def _is_within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")
