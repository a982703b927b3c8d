"""The store: bytes under keys, one revision for every write, and the events that follow.

Keys look like `pods/default/web-0`; what stands before the first slash is the key's *bucket*, the
unit in which history is kept. Values are bytes that the store never looks into.

    Rule 1  There is one revision counter; every write takes the next revision, also a delete.
    Rule 2  A write is acknowledged, readable and published only when it will survive a crash.
    Rule 3  Events are published in the order of their revisions, none missing, none twice.
    Rule 4  What is too old to be told exactly is refused (`RevisionCompactedError`), never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec


class StorageError(Exception):
    """A store could not do what it was asked."""


class KeyExistsError(StorageError):
    """The key to be created is there already."""


class KeyMissingError(StorageError):
    """The key to be changed is not there."""


class RevisionMismatchError(StorageError):
    """The key was written since the caller read it."""


class RevisionCompactedError(StorageError):
    """History before `oldest` is forgotten."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"revision {revision} is compacted, the oldest is {oldest}")
        self.revision = revision
        self.oldest = oldest


class Entry(msgspec.Struct, eq=False):
    """A value as one write left it.

    Parameters
    ----------
    memo
        Room for what the layer above derives from the value, kept as long as the entry lives.
    """

    key: str
    value: bytes
    revision: int
    memo: Any = None


class StoreEvent(msgspec.Struct, eq=False):
    """One write: `entry` is the new state (None: deleted), `previous` what it replaced.

    Parameters
    ----------
    bucket
        That of the key.
    memo
        Room for what those who are told of the event work out of it for each other.
    """

    bucket: str
    key: str
    revision: int
    entry: Entry | None
    previous: Entry | None
    memo: dict[Any, Any] = {}


Subscriber = Callable[[StoreEvent], None]


class Told(Protocol):
    """State and history that can be followed."""

    @property
    def revision(self) -> int:
        """The newest revision that is readable."""

    def entries(
        self, prefix: str, *, after: str = "", limit: int = 0, revision: int | None = None
    ) -> Sequence[Entry]:
        """Return the entries whose keys start with the prefix, sorted by key.

        Parameters
        ----------
        after
            Only keys greater than this one.
        limit
            At most so many; 0 for all.
        revision
            The state as of then; None for now.

        Raises
        ------
        RevisionCompactedError
            That state is forgotten.
        """

    def counts(self) -> Mapping[str, int]:
        """Return how many entries there are in each bucket."""

    def events_after(self, prefix: str, revision: int) -> list[StoreEvent]:
        """Return the events of a prefix that are newer than the revision, oldest first.

        Raises
        ------
        RevisionCompactedError
            Some of them are forgotten.
        """

    def subscribe(self, subscriber: Subscriber, *buckets: str) -> None:
        """Call the subscriber with each later event, in order, in the event loop's thread.

        Parameters
        ----------
        buckets
            Of which the subscriber wants to be told; of all when there are none.
        """


class Sealing(Protocol):
    """How values look on the disk.

    Attributes
    ----------
    hides
        Whether some look other than they are, so that the file must not keep what they were.
    """

    hides: bool

    def seal(self, key: str, value: bytes) -> bytes:
        """Return a value as it is written under a key."""

    def open(self, key: str, stored: bytes) -> bytes:
        """Return the value that is written under a key."""


class Store(Told, Protocol):
    """What the API server needs of a database."""

    def get(self, key: str) -> Entry | None:
        """Return the current entry of a key."""

    async def create(self, key: str, value: bytes) -> Entry:
        """Write a key that must not exist, else `KeyExistsError`."""

    async def update(self, key: str, value: bytes, expected: int) -> Entry:
        """Replace a value whose revision must be the expected one.

        Raises
        ------
        KeyMissingError, RevisionMismatchError
            The key is gone, or was written meanwhile.
        """

    async def delete(self, key: str, expected: int) -> StoreEvent:
        """Remove a key whose revision must be the expected one, else as `update`."""

    async def compact(self, revision: int) -> None:
        """Forget the history up to and including the revision."""

    async def close(self) -> None:
        """Finish what was acknowledged and let go of the files."""


def bucket_of(key: str) -> str:
    """Return the part of a key, or of a prefix, before the first slash."""
    return key.partition("/")[0]
