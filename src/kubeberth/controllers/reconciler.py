"""What one controller knows: which keys a change concerns, and what a key needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable

from kubeberth.api.meta import HasMetadata
from kubeberth.api.scheme import Resource
from kubeberth.controllers.action import Failure, Outcome
from kubeberth.controllers.cache import Cache


class Reconciler(ABC):
    """Decides for one controller; `Controller` does what it says.

    Attributes
    ----------
    account
        The service account of kube-system as which it acts; the API server starts every cluster
        with a role `system:controller:ACCOUNT` that says what it may do.
    resource
        What its keys are those of; who works on all kinds has none, and `keys` of its own.
    follows
        What else it has to hear of; None for all that there is, of custom kinds as well.
    seeds
        Keys to look at from the start, whatever changes.
    only_reports
        Whether its statuses say nothing but how things are, and are no memory of its own: then what
        changes in short time is told in one write.
    """

    name: str
    account: str
    resource: Resource
    follows: Collection[Resource] | None = ()
    seeds: tuple[str, ...] = ()
    only_reports = False

    def hears_of(self, resource: Resource) -> bool:
        """Return whether a change of a resource may concern a key."""
        return self.follows is None or resource == self.resource or resource in self.follows

    def keys(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the keys to look at after a change that is in the cache already."""
        latest = new if new is not None else old
        if resource == self.resource:
            return () if latest is None else (latest.metadata.key,)
        return self.keys_behind(cache, resource, old, new)

    def keys_behind(
        self, cache: Cache, resource: Resource, old: HasMetadata | None, new: HasMetadata | None
    ) -> Iterable[str]:
        """Return the keys that a change of another resource concerns."""
        return ()

    @abstractmethod
    def reconcile(self, cache: Cache, key: str, now: float, failure: Failure | None) -> Outcome:
        """Return what to do about a key.

        Parameters
        ----------
        now
            Seconds since 1970.
        failure
            Why the previous attempt stopped, when it did.
        """
