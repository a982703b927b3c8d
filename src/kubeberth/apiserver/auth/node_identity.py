"""Which user is a node.

Matches `pkg/auth/nodeidentifier` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.certificates import NODE_PREFIX
from kubeberth.apiserver.auth.authn import NODES, User


def node_of(user: User) -> str | None:
    """Return the node that a user is, empty when it does not say which; None for all others."""
    if NODES in user.groups and user.name.startswith(NODE_PREFIX):
        return user.name[len(NODE_PREFIX) :]
    return None
