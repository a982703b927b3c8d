"""How kinds are printed: columns, and what the cells of a row are.

Matches `pkg/printers/internalversion` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubeberth.apiserver.cells import age_of

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Parameters
    ----------
    description
        What the column means, in a few words of our own.
    wide
        Only shown by `-o wide`.
    priority
        The same as a number, as definitions of custom kinds have it.
    """

    name: str
    description: str
    type: str = "string"
    wide: bool = False
    is_name: bool = False
    priority: int = 0

    def definition(self) -> dict[str, Any]:
        """Return the column as a `TableColumnDefinition`."""
        return {
            "name": self.name,
            "type": self.type,
            "format": "name" if self.is_name else "",
            "description": self.description,
            "priority": self.priority or int(self.wide),
        }


@dataclass(frozen=True, slots=True)
class Printer:
    """How a kind is printed.

    Parameters
    ----------
    cells
        Returns the cells of an object, one per column, given the time.
    conditions
        Returns the conditions of its row.
    """

    columns: tuple[Column, ...]
    cells: Callable[[Document, float], list[Any]]
    conditions: Callable[[Document], list[dict[str, str]]] = lambda document: []


def name_of(document: Document) -> str:
    """Return an object's name."""
    name: str = document["metadata"].get("name", "")
    return name


def name_and_age(document: Document, now: float) -> list[Any]:
    """Return the cells of kinds that have no others."""
    return [name_of(document), age_of(document, now)]


def template_cells(template: Document | None) -> list[str]:
    """Return names and images of the containers of a pod template."""
    containers = ((template or {}).get("spec") or {}).get("containers") or []
    names = ",".join(container.get("name", "") for container in containers)
    return [names, ",".join(container.get("image", "") for container in containers)]


NAME = Column("Name", "the object's name", is_name=True)
AGE = Column("Age", "time since the object was created")
CONTAINERS = Column("Containers", "names of the template's containers", wide=True)
IMAGES = Column("Images", "images of the template's containers", wide=True)
SELECTOR = Column("Selector", "which pods belong to it", wide=True)
