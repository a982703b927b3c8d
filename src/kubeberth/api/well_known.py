"""Labels and taints that Kubernetes itself gives nodes.

Source: https://kubernetes.io/docs/reference/labels-annotations-taints/ of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Collection

from kubeberth.api.near import near_miss
from kubeberth.api.node_labels import (
    ARCH,
    HOSTNAME,
    INSTANCE_TYPE,
    OS,
    PROTECTED,
    REGION,
    RENAMED,
    ZONE,
)

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"

# Labels of roles that have a new name.
RENAMED_ROLES = {"node-role.kubernetes.io/master": CONTROL_PLANE}

NODE_LABELS = frozenset(
    (
        ARCH,
        HOSTNAME,
        OS,
        ZONE,
        REGION,
        INSTANCE_TYPE,
        "node.kubernetes.io/windows-build",
        "node.kubernetes.io/exclude-from-external-load-balancers",
        CONTROL_PLANE,
        *RENAMED,
        *RENAMED_ROLES,
    )
)

# What people write who mean a label by its last part.
_SHORT = {
    "arch": ARCH,
    "control-plane": CONTROL_PLANE,
    "hostname": HOSTNAME,
    "instance-type": INSTANCE_TYPE,
    "node": HOSTNAME,
    "os": OS,
    "region": REGION,
    "zone": ZONE,
}

# Taints that come and go with the state of a node, and those of roles, which have no value.
STATE_TAINTS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
ROLE_TAINTS = "node-role.kubernetes.io/"


def is_of_state(taint_key: str) -> bool:
    """Return whether a taint tells the state of a node, and so is on none most of the time."""
    return taint_key.startswith(STATE_TAINTS)


def meant_label(key: str, known: Collection[str]) -> str:
    """Return the label that was probably meant by one that no node has; empty if none was.

    A misspelling, a name without its domain, or behind another of Kubernetes' domains.
    """
    if key in known:
        return ""
    domain, _, name = key.rpartition("/")
    short = _SHORT.get(name.lower(), "") if not domain or is_reserved(key) else ""
    return near_miss(key, known) or (short if short in known else "")


def is_reserved(key: str) -> bool:
    """Return whether a label is one that only Kubernetes gives a meaning to."""
    domain, slash, _ = key.rpartition("/")
    if f".{domain}".endswith(f".{PROTECTED}"):
        return False  # those are for administrators to name
    return bool(slash) and f".{domain}".endswith((".kubernetes.io", ".k8s.io"))
