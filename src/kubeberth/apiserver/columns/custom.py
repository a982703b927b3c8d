"""Columns of custom kinds, as their definitions tell them.

Matches `pkg/registry/customresource/tableconvertor` of k8s.io/apiextensions-apiserver 1.36.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kubeberth.api.custom.field_path import values_at
from kubeberth.api.custom.version import PrinterColumn
from kubeberth.api.times import seconds_of
from kubeberth.apiserver.cells import age_text
from kubeberth.apiserver.columns.printer import NAME, Column, Document, Printer, name_of
from kubeberth.apiserver.objects import encode


@lru_cache(maxsize=256)
def printer_of(columns: tuple[PrinterColumn, ...]) -> Printer:
    """Return how objects are printed by the columns of their definition."""
    shown = tuple(
        Column(column.name, column.description, column.type, priority=column.priority)
        for column in columns
    )

    def cells(document: Document, now: float) -> list[Any]:
        return [name_of(document), *(cell_of(document, column, now) for column in columns)]

    return Printer((NAME, *shown), cells)


def cell_of(document: Document, column: PrinterColumn, now: float) -> Any:
    """Return what the column's path leads to; a value of another type is not shown."""
    found = values_at(document, column.path)
    if not found:
        return None
    value = found[0]
    match column.type:
        case "string":
            return " ".join(map(_text_of, found))
        case "integer":
            return int(value) if type(value) in (int, float) else None
        case "number":
            return value if type(value) in (int, float) else None
        case "boolean":
            return value if type(value) is bool else None
        case "date":
            return _age(value, now)
    return None


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def _age(value: Any, now: float) -> str:
    try:
        return age_text(now - seconds_of(value))
    except (TypeError, ValueError):
        return "<invalid>"
