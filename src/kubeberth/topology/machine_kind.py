"""What manifests of machines call themselves; see `machine_manifests.py`."""

from __future__ import annotations

MACHINE_KIND = "Machine"
API_VERSION = "kubeberth.io/v1"
