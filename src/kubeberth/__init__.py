"""kubeberth assigns pods to nodes, speaking the Kubernetes API."""

__version__ = "0.1.0"
