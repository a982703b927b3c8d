"""The admission chain: plugins that fill in or refuse, in upstream's order.

`admit` runs before an object is prepared and validated and may change it; `validate` runs after
and may only refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from kubeberth.api.scheme import Resource
from kubeberth.apiserver import refusals
from kubeberth.apiserver.auth.authn import User
from kubeberth.errors import ForbiddenError

Operation = Literal["CREATE", "UPDATE", "DELETE"]
Document = dict[str, Any]


@dataclass(slots=True)
class Attributes:
    """A write that waits for admission.

    Parameters
    ----------
    document
        The object as it shall be; None for a delete.
    old
        The object as it is; None for a create.
    """

    operation: Operation
    resource: Resource
    namespace: str
    user: User
    document: Document | None = None
    old: Document | None = None
    subresource: str = ""
    name: str = ""
    dry_run: bool = False

    def __post_init__(self) -> None:
        if not self.name and self.document is not None:
            metadata = self.document["metadata"]
            self.name = metadata.get("name") or metadata.get("generateName", "")

    def forbid(self, why: str, causes: Sequence[dict[str, Any]] = ()) -> ForbiddenError:
        """Return the refusal of this write."""
        return refusals.forbidden(self.resource, self.name, why, causes)


class Reader(Protocol):
    """What plugins may look at: the current objects."""

    def find(self, resource: Resource, namespace: str, name: str) -> Document | None:
        """Return an object, or None."""

    def find_all(self, resource: Resource, namespace: str = "") -> Iterable[Document]:
        """Return the objects of a resource."""


class Plugin:
    """An admission plugin; overrides the half it needs."""

    async def admit(self, attributes: Attributes) -> None:
        """Fill in, or refuse."""

    async def validate(self, attributes: Attributes) -> None:
        """Refuse what must not be stored."""


class Chain:
    """Plugins in the order they run."""

    def __init__(self, plugins: Sequence[Plugin] = ()) -> None:
        self.plugins = tuple(plugins)
        self._admitting = [p for p in plugins if type(p).admit is not Plugin.admit]
        self._validating = [p for p in plugins if type(p).validate is not Plugin.validate]

    async def admit(self, attributes: Attributes) -> None:
        """Let every plugin fill in or refuse."""
        for plugin in self._admitting:
            await plugin.admit(attributes)

    async def validate(self, attributes: Attributes) -> None:
        """Let every plugin refuse."""
        for plugin in self._validating:
            await plugin.validate(attributes)
