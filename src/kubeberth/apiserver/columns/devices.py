"""Columns of devices and of claims of them."""

from __future__ import annotations

from typing import Any

from kubeberth.apiserver.cells import age_of
from kubeberth.apiserver.columns.printer import (
    AGE,
    NAME,
    Column,
    Document,
    Printer,
    name_and_age,
    name_of,
)


def _claim_cells(claim: Document, now: float) -> list[Any]:
    return [name_of(claim), _state(claim), age_of(claim, now)]


def _state(claim: Document) -> str:
    status = claim.get("status") or {}
    states = ["deleted"] if "deletionTimestamp" in claim["metadata"] else []
    if status.get("allocation") is not None:
        states.append("allocated")
        states += ["reserved"] if status.get("reservedFor") else []
    elif not states:
        states.append("pending")
    return ",".join(states)


def _slice_cells(resource_slice: Document, now: float) -> list[Any]:
    spec = resource_slice.get("spec") or {}
    return [
        name_of(resource_slice),
        spec.get("nodeName", ""),
        spec.get("driver", ""),
        (spec.get("pool") or {}).get("name", ""),
        age_of(resource_slice, now),
    ]


PRINTERS: dict[str, Printer] = {
    "deviceclasses.resource.k8s.io": Printer((NAME, AGE), name_and_age),
    "resourceclaims.resource.k8s.io": Printer(
        (NAME, Column("State", "whether it has its devices, and whether pods hold them"), AGE),
        _claim_cells,
    ),
    "resourceclaimtemplates.resource.k8s.io": Printer((NAME, AGE), name_and_age),
    "resourceslices.resource.k8s.io": Printer(
        (
            NAME,
            Column("Node", "the only node that has the devices"),
            Column("Driver", "who offers the devices"),
            Column("Pool", "the pool that they are part of"),
            AGE,
        ),
        _slice_cells,
    ),
}
