"""What a whole pod asks for, and what its limits come to: as quotas and limit ranges count; pure.

Works on documents. Matches `k8s.io/component-helpers/resource` of Kubernetes 1.36: init containers
run one after the other, sidecars go on beside what follows them, pod-level resources take the
place of the sum, and the overhead comes on top. `requests.py` counts the same for placement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api.quantity import Format, Quantity, parse_quantity

Totals = dict[str, Quantity]
_POD_LEVEL = ("cpu", "memory")


def total_requests(spec: Mapping[str, Any]) -> Totals:
    """Return what a pod asks for."""
    totals = _totals(spec, "requests")
    _add(totals, spec.get("overhead") or {})
    return totals


def total_limits(spec: Mapping[str, Any]) -> Totals:
    """Return what a pod's limits come to; overhead only adds to what has a limit."""
    totals = _totals(spec, "limits")
    overhead = spec.get("overhead") or {}
    _add(totals, {name: amount for name, amount in overhead.items() if name in totals})
    return totals


def plus(one: Quantity | None, other: Quantity) -> Quantity:
    """Return a sum, written as the first is."""
    if one is None:
        return other
    return Quantity(one.nanos + other.nanos, _format(one, other))


def _format(one: Quantity, other: Quantity) -> Format:
    return one.format if one.nanos else other.format


def _totals(spec: Mapping[str, Any], bound: str) -> Totals:
    totals: Totals = {}
    for container in spec.get("containers") or ():
        _add(totals, _amounts(container, bound))
    sidecars: Totals = {}
    highest: Totals = {}
    for container in spec.get("initContainers") or ():
        amounts = _amounts(container, bound)
        if container.get("restartPolicy") == "Always":
            _add(totals, amounts)
            _add(sidecars, amounts)
            _raise(highest, sidecars)
        else:
            while_it_runs = dict(sidecars)
            _add(while_it_runs, amounts)
            _raise(highest, while_it_runs)
    _raise(totals, highest)
    for name, amount in _amounts(spec, bound).items():
        if name in _POD_LEVEL or name.startswith("hugepages-"):
            totals[name] = parse_quantity(amount)
    return totals


def _amounts(holder: Mapping[str, Any], bound: str) -> Mapping[str, str]:
    amounts: Mapping[str, str] = (holder.get("resources") or {}).get(bound) or {}
    return amounts


def _add(totals: Totals, amounts: Mapping[str, str | Quantity]) -> None:
    for name, amount in amounts.items():
        quantity = amount if isinstance(amount, Quantity) else parse_quantity(amount)
        totals[name] = plus(totals.get(name), quantity)


def _raise(totals: Totals, least: Totals) -> None:
    """Make totals at least as much as others."""
    for name, quantity in least.items():
        if name not in totals or totals[name].nanos < quantity.nanos:
            totals[name] = quantity
