"""The kinds of objects that a cluster takes, by name."""

from __future__ import annotations

from kubeberth.api.scheme import PODS, PRIORITY_CLASSES, Resource
from kubeberth.placement.observed import OBSERVED, Observed

TYPES: dict[str, type[Observed]] = {resource.kind: kind for kind, resource in OBSERVED.items()}
"""Those that change a cluster by themselves."""

RESOURCES: dict[str, Resource] = {
    resource.kind: resource for resource in (PRIORITY_CLASSES, *OBSERVED.values(), PODS)
}
"""Every kind that a cluster takes, in the order in which objects are best taken in."""
