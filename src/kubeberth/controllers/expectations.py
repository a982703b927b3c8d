"""Read your own writes: no decision about a key before the cache shows what was last done for it.

A reconcile that acts on a stale cache makes pods twice. So after each write the controller notes
the revision it produced, and leaves the key alone until its cache has seen that revision; a
deletion is seen when the object is gone or on its way out. Resource versions can be compared as
numbers (Kubernetes 1.35 made that official).

Pure: `now` is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kubeberth.api.scheme import Resource
from kubeberth.controllers.action import ObjectRef

# Upstream's timeout (controller_utils.go): after it the cache is believed as it is.
TIMEOUT_S = 300.0


@dataclass(slots=True)
class _Expected:
    deadline: float
    revisions: dict[Resource, int] = field(default_factory=dict)
    gone: set[ObjectRef] = field(default_factory=set)


class Expectations:
    """What each key's writes must still become visible as."""

    def __init__(self) -> None:
        self._expected: dict[str, _Expected] = {}

    def wrote(self, key: str, resource: Resource, resource_version: str, now: float) -> None:
        """Expect the cache to reach the revision that a write has produced."""
        if resource_version.isdecimal():
            revisions = self._of(key, now).revisions
            revisions[resource] = max(revisions.get(resource, 0), int(resource_version))

    def deleted(self, key: str, target: ObjectRef, now: float) -> None:
        """Expect the object to disappear from the cache, or to be seen terminating."""
        self._of(key, now).gone.add(target)

    def met(
        self,
        key: str,
        now: float,
        revision_of: Callable[[Resource], int],
        is_going: Callable[[ObjectRef], bool],
    ) -> bool:
        """Return whether all that was expected for the key is visible, or no longer awaited."""
        expected = self._expected.get(key)
        if expected is None:
            return True
        expected.gone = {ref for ref in expected.gone if not is_going(ref)}
        waits = bool(expected.gone) or any(
            revision_of(resource) < revision for resource, revision in expected.revisions.items()
        )
        if waits and now < expected.deadline:
            return False
        del self._expected[key]
        return True

    def __iter__(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each key that has written, and what it waits to see if that is not seen yet."""
        for key, expected in sorted(self._expected.items()):
            reached = (f"{r.group_resource} {v}" for r, v in expected.revisions.items())
            gone = (f"{ref.resource.group_resource} {ref.name} gone" for ref in expected.gone)
            yield key, [*reached, *gone]

    def _of(self, key: str, now: float) -> _Expected:
        expected = self._expected.setdefault(key, _Expected(now + TIMEOUT_S))
        expected.deadline = now + TIMEOUT_S
        return expected
