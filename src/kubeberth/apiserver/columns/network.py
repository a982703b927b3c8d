"""Columns of endpoints, ingresses and network policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeberth.apiserver.cells import NONE, age_of, selector_text
from kubeberth.apiserver.columns.printer import AGE, NAME, Column, Document, Printer, name_of

_UNSET = "<unset>"
# How many ports and endpoints are told before "more".
_SHOWN = 3


def _first_few(texts: Sequence[str], separator: str = ",") -> str:
    n_more = len(texts) - _SHOWN
    shown = separator.join(texts[:_SHOWN])
    return f"{shown} + {n_more} more..." if n_more > 0 else shown


def _endpoints_cells(endpoints: Document, now: float) -> list[Any]:
    texts: list[str] = []
    for subset in endpoints.get("subsets") or ():
        ports = subset.get("ports") or ()
        for address in subset.get("addresses") or ():
            ip = address.get("ip", "")
            texts += [f"{ip}:{port.get('port', 0)}" for port in ports] or [ip]
    return [name_of(endpoints), _first_few(texts) or NONE, age_of(endpoints, now)]


def _slice_cells(endpoint_slice: Document, now: float) -> list[Any]:
    ports = [
        str(port["port"]) if port.get("port") is not None else "*"
        for port in endpoint_slice.get("ports") or ()
    ]
    addresses = [
        address
        for endpoint in endpoint_slice.get("endpoints") or ()
        for address in endpoint.get("addresses") or ()
    ]
    return [
        name_of(endpoint_slice),
        endpoint_slice.get("addressType", ""),
        _first_few(ports) or _UNSET,
        _first_few(addresses) or _UNSET,
        age_of(endpoint_slice, now),
    ]


def _ingress_cells(ingress: Document, now: float) -> list[Any]:
    spec, status = ingress.get("spec") or {}, ingress.get("status") or {}
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    balancers = (status.get("loadBalancer") or {}).get("ingress") or ()
    addresses = [b.get("ip") or b.get("hostname", "") for b in balancers]
    return [
        name_of(ingress),
        spec.get("ingressClassName") or NONE,
        _first_few(hosts) or "*",
        ",".join(address for address in addresses if address),
        "80, 443" if spec.get("tls") else "80",
        age_of(ingress, now),
    ]


def _ingress_class_cells(ingress_class: Document, now: float) -> list[Any]:
    spec = ingress_class.get("spec") or {}
    parameters = spec.get("parameters")
    return [
        name_of(ingress_class),
        spec.get("controller", ""),
        _parameters_text(parameters) if parameters else NONE,
        age_of(ingress_class, now),
    ]


def _parameters_text(parameters: Document) -> str:
    kind, group = parameters.get("kind", ""), parameters.get("apiGroup")
    return (
        f"{kind}.{group}/{parameters.get('name', '')}"
        if group
        else (f"{kind}/{parameters.get('name', '')}")
    )


def _policy_cells(policy: Document, now: float) -> list[Any]:
    selector = (policy.get("spec") or {}).get("podSelector")
    return [name_of(policy), selector_text(selector), age_of(policy, now)]


PRINTERS: dict[str, Printer] = {
    "endpoints": Printer((NAME, Column("Endpoints", "addresses and ports"), AGE), _endpoints_cells),
    "endpointslices.discovery.k8s.io": Printer(
        (
            NAME,
            Column("AddressType", "what kind of addresses"),
            Column("Ports", "the endpoints' ports"),
            Column("Endpoints", "the endpoints' addresses"),
            AGE,
        ),
        _slice_cells,
    ),
    "ingresses.networking.k8s.io": Printer(
        (
            NAME,
            Column("Class", "its ingress class"),
            Column("Hosts", "names it answers to"),
            Column("Address", "where it is reached"),
            Column("Ports", "ports it answers on"),
            AGE,
        ),
        _ingress_cells,
    ),
    "ingressclasses.networking.k8s.io": Printer(
        (
            NAME,
            Column("Controller", "who carries it out"),
            Column("Parameters", "where more is said of it"),
            AGE,
        ),
        _ingress_class_cells,
    ),
    "networkpolicies.networking.k8s.io": Printer(
        (NAME, Column("Pod-Selector", "which pods it is for"), AGE), _policy_cells
    ),
}
