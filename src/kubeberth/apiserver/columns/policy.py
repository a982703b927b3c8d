"""Columns of budgets, quotas and runtime classes."""

from __future__ import annotations

from typing import Any

from kubeberth.apiserver.cells import age_of
from kubeberth.apiserver.columns.printer import AGE, NAME, Column, Document, Printer, name_of

_NOT_SET = "N/A"


def _budget_cells(budget: Document, now: float) -> list[Any]:
    spec, status = budget.get("spec") or {}, budget.get("status") or {}
    bounds = [spec.get(field) for field in ("minAvailable", "maxUnavailable")]
    return [
        name_of(budget),
        *(_NOT_SET if bound is None else str(bound) for bound in bounds),
        status.get("disruptionsAllowed", 0),
        age_of(budget, now),
    ]


def _quota_cells(quota: Document, now: float) -> list[Any]:
    status = quota.get("status") or {}
    used = status.get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name, hard in sorted((status.get("hard") or {}).items()):
        part = limits if name.startswith("limits.") else requests
        part.append(f"{name}: {used.get(name, '0')}/{hard}")
    return [name_of(quota), ", ".join(requests), ", ".join(limits), age_of(quota, now)]


def _runtime_class_cells(runtime_class: Document, now: float) -> list[Any]:
    handler = runtime_class.get("handler", "")
    return [name_of(runtime_class), handler, age_of(runtime_class, now)]


PRINTERS: dict[str, Printer] = {
    "poddisruptionbudgets.policy": Printer(
        (
            NAME,
            Column("Min Available", "how many pods must stay"),
            Column("Max Unavailable", "how many pods may be missing"),
            Column("Allowed Disruptions", "how many pods may go now", type="integer"),
            AGE,
        ),
        _budget_cells,
    ),
    "resourcequotas": Printer(
        (
            NAME,
            Column("Request", "what is used of what may be"),
            Column("Limit", "what is used of the limits"),
            AGE,
        ),
        _quota_cells,
    ),
    "runtimeclasses.node.k8s.io": Printer(
        (NAME, Column("Handler", "what runs the pods"), AGE), _runtime_class_cells
    ),
}
