"""Names by which machines are known: in manifests, and on the Nodes that publish theirs."""

from __future__ import annotations

MACHINE_KIND = "Machine"
API_VERSION = "kubeberth.io/v1"

LAYOUT_ANNOTATION = "kubeberth.io/machine"
ALLOCATIONS_ANNOTATION = "kubeberth.io/allocations"
