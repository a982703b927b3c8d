"""Where the kubeconfig is that nobody names; most commands come to read none."""

from __future__ import annotations

import os
from pathlib import Path


def default_kubeconfig() -> Path:
    """Return the kubeconfig for which none is named."""
    # A user without a home, as in a container, has none either; that is no error yet.
    return Path(os.path.expanduser("~/.kube/config"))
