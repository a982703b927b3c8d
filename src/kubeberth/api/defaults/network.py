"""Defaults of services and of what else steers traffic."""

from __future__ import annotations

from kubeberth.api.defaults.pods import Document

_SESSION_TIMEOUT_SECONDS = 10800
_BALANCED_TYPES = ("NodePort", "LoadBalancer")


def default_service(service: Document) -> None:
    """Set the defaults of a service."""
    spec = service.setdefault("spec", {})
    kind = spec.setdefault("type", "ClusterIP")
    affinity = spec.setdefault("sessionAffinity", "None")
    if affinity == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        config.setdefault("timeoutSeconds", _SESSION_TIMEOUT_SECONDS)
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)
    if kind != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if kind in _BALANCED_TYPES:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if kind == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def default_endpoints(endpoints: Document) -> None:
    """Set the defaults of endpoints."""
    for subset in endpoints.get("subsets") or ():
        for port in subset.get("ports") or ():
            port.setdefault("protocol", "TCP")


def default_endpoint_slice(endpoint_slice: Document) -> None:
    """Set the defaults of an endpoint slice."""
    for port in endpoint_slice.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def default_ingress_class(ingress_class: Document) -> None:
    """Set the defaults of an ingress class: its parameters belong to the whole cluster."""
    if (parameters := (ingress_class.get("spec") or {}).get("parameters")) is not None:
        parameters.setdefault("scope", "Cluster")


def default_network_policy(policy: Document) -> None:
    """Set the defaults of a network policy: it rules what it speaks of, and always what comes."""
    spec = policy.setdefault("spec", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    for rule in (*(spec.get("ingress") or ()), *(spec.get("egress") or ())):
        for port in rule.get("ports") or ():
            port.setdefault("protocol", "TCP")
