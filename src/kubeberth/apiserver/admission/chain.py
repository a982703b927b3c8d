"""The admission chain: plugins that fill in or refuse, in upstream's order.

`admit` runs before an object is prepared and validated and may change it; `validate` runs after
and may only refuse. When somebody from outside has changed an object, all look at it once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import msgspec

from kubeberth.api.scheme import Resource
from kubeberth.apiserver import refusals
from kubeberth.apiserver.auth.authn import User
from kubeberth.errors import ForbiddenError

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
Document = dict[str, Any]


def _nobody_asks(attributes: Attributes, key: str, value: str) -> None:
    """Forget what is noted."""


class Attributes(msgspec.Struct):
    """A write that waits for admission.

    Parameters
    ----------
    document
        The object as it shall be; None for a delete.
    old
        The object as it is; None for a create.
    name
        The object's name as the request tells it; empty when it is to be generated.
    options
        The request's options as a document, made only for who asks.
    warnings
        Grows by what the caller shall be told, whatever becomes of the write.
    is_second_round
        Whether everybody looks again, after somebody from outside has changed the object.
    wants_second_round
        Whether they shall.
    noted
        Takes down what shall be known of the write later, and not be told to the caller.
    deadline
        Until when, by the event loop's clock, all that is asked for the write must be answered;
        none before somebody is asked.
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
    options: Callable[[], Document] | None = None
    warnings: list[str] = []
    noted: Callable[[Attributes, str, str], None] = _nobody_asks
    is_second_round: bool = False
    wants_second_round: bool = False
    deadline: float = 0.0
    _records: dict[Plugin, Record] | None = None

    def __post_init__(self) -> None:
        if not self.name and self.document is not None:
            self.name = self.document["metadata"].get("name", "")

    @property
    def told_name(self) -> str:
        """The name by which refusals call the object."""
        if self.name or self.document is None:
            return self.name
        metadata = self.document["metadata"]
        told: str = metadata.get("name") or metadata.get("generateName", "")
        return told

    def note(self, key: str, value: str) -> None:
        """Note something about this write: an audit annotation."""
        self.noted(self, key, value)

    def forbid(self, why: str, causes: Sequence[dict[str, Any]] = ()) -> ForbiddenError:
        """Return the refusal of this write."""
        return refusals.forbidden(self.resource, self.told_name, why, causes)

    def record_of(self, plugin: Plugin) -> Record:
        """Return what a plugin remembers of this write from the first round to the second."""
        if self._records is None:
            self._records = {}
        return self._records.setdefault(plugin, Record())


@dataclass(slots=True)
class Record:
    """Of a plugin that asks others: who may be asked again, who must be, and what came of it."""

    reinvocable: set[str] = field(default_factory=set)
    due: set[str] = field(default_factory=set)
    output: bytes = b""

    def require(self) -> None:
        """Have those asked again who were asked before."""
        self.due |= self.reinvocable
        self.reinvocable.clear()


class Reader(Protocol):
    """What plugins may look at: the current objects."""

    def find(self, resource: Resource, namespace: str, name: str) -> Document | None:
        """Return an object, or None."""

    def find_all(self, resource: Resource, namespace: str = "") -> Iterable[Document]:
        """Return the objects of a resource."""


class Plugin:
    """An admission plugin; overrides the half it needs.

    Attributes
    ----------
    resources
        What it is about: it is asked about nothing else. Empty when it is about everything.
    sees_bodies
        Whether it also looks at what is posted to a subresource and is no object: a Binding.
    """

    resources: ClassVar[tuple[Resource, ...]] = ()
    sees_bodies: ClassVar[bool] = False

    async def admit(self, attributes: Attributes) -> None:
        """Fill in, or refuse."""

    async def validate(self, attributes: Attributes) -> None:
        """Refuse what must not be stored."""


class _Asked(msgspec.Struct, frozen=True):
    """Who is asked about a resource, before and after validation."""

    admitting: list[Plugin]
    validating: list[Plugin]


class Chain:
    """Plugins in the order they run."""

    def __init__(self, plugins: Sequence[Plugin] = ()) -> None:
        self._plugins = tuple(plugins)
        # None stands for every custom resource.
        self._asked: dict[Resource | None, _Asked] = {}
        watching = [plugin for plugin in plugins if plugin.sees_bodies]
        self._of_bodies = self if len(watching) == len(plugins) else Chain(watching)

    async def admit(self, attributes: Attributes) -> None:
        """Let every plugin fill in or refuse."""
        asked = self._asked_about(attributes.resource).admitting
        for plugin in asked:
            await plugin.admit(attributes)
        if attributes.wants_second_round:
            attributes.is_second_round = True
            for plugin in asked:
                await plugin.admit(attributes)

    async def validate(self, attributes: Attributes) -> None:
        """Let every plugin refuse."""
        for plugin in self._asked_about(attributes.resource).validating:
            await plugin.validate(attributes)

    async def look_at_body(self, attributes: Attributes) -> None:
        """Let those fill in or refuse who look at the bodies of subresources."""
        await self._of_bodies.admit(attributes)
        await self._of_bodies.validate(attributes)

    def _asked_about(self, resource: Resource) -> _Asked:
        key = resource if resource.custom is None else None
        asked = self._asked.get(key)
        if asked is None:
            about = [p for p in self._plugins if not p.resources or key in p.resources]
            asked = self._asked[key] = _Asked(
                [plugin for plugin in about if type(plugin).admit is not Plugin.admit],
                [plugin for plugin in about if type(plugin).validate is not Plugin.validate],
            )
        return asked
