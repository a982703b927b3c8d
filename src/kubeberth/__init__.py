"""kubeberth assigns pods to nodes, speaking the Kubernetes API."""

from importlib import import_module

__version__ = "0.1.0"

# Imported when asked for: the `berth` command needs none of it to start.
_HOMES = {
    "Cluster": "kubeberth.library.cluster",
    "Decision": "kubeberth.placement.decision",
    "Explanation": "kubeberth.placement.explanation",
    "InvalidObjectError": "kubeberth.errors",
    "ManifestError": "kubeberth.errors",
    "NoSuchObjectError": "kubeberth.errors",
    "Plan": "kubeberth.planner.plan",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
