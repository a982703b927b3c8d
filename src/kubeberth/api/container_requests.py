"""What the containers of a pod's document ask for together, in quantities as they print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.api.quantity import Quantity, parse_quantity


def summed_requests(spec: Mapping[str, Any]) -> dict[str, Quantity]:
    """Return what the containers ask for together, or the hungriest step of starting up.

    Matches `AggregateContainerRequests` of Kubernetes 1.36 (component-helpers/resource/helpers.go);
    `requests.effective_request` is the same in base units.
    """
    running: dict[str, Quantity] = {}
    for container in spec.get("containers") or ():
        _add(running, _requests(container))
    started: dict[str, Quantity] = {}
    starting: dict[str, Quantity] = {}
    for container in spec.get("initContainers") or ():
        asked = _requests(container)
        need = dict(started)
        _add(need, asked)
        if container.get("restartPolicy") == "Always":
            started = need
            _add(running, asked)
        _raise_to(starting, need)
    _raise_to(running, starting)
    return running


def _requests(container: Mapping[str, Any]) -> dict[str, Quantity]:
    requests = (container.get("resources") or {}).get("requests") or {}
    return {name: parse_quantity(amount) for name, amount in requests.items()}


def _add(totals: dict[str, Quantity], more: dict[str, Quantity]) -> None:
    for name, quantity in more.items():
        before = totals[name].nanos if name in totals else 0
        totals[name] = Quantity(before + quantity.nanos, quantity.format)


def _raise_to(totals: dict[str, Quantity], floor: dict[str, Quantity]) -> None:
    for name, quantity in floor.items():
        if name not in totals or totals[name].nanos < quantity.nanos:
            totals[name] = quantity
