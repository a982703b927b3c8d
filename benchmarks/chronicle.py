"""What happened to workloads, in the order in which it did: to tell how a promise was broken.

Every change that a watch brings becomes a line: when it was seen, its resourceVersion, what the
object is like since, and who wrote that, by its managed fields. Kept is all of it: a few hundred
bytes for each event.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.soaking import Document, is_ready, node_of

from kubeberth.api.scheme import DEPLOYMENTS, REPLICA_SETS, Resource

# What leads to a fault takes a few seconds; the news of other kinds may come a little after it.
BEFORE_S, AFTER_S = 8.0, 0.5


@dataclass(frozen=True, slots=True)
class Entry:
    """One change.

    Parameters
    ----------
    seen_at
        By the monotonic clock.
    revision
        The resourceVersion that it made.
    """

    seen_at: float
    revision: int
    text: str


class Chronicle:
    """The changes of each workload and of what belongs to it."""

    def __init__(self) -> None:
        self._entries: dict[str, list[Entry]] = defaultdict(list)

    def note(
        self,
        resource: Resource,
        old: Document | None,
        new: Document | None,
        *,
        app: str,
        version: str,
    ) -> None:
        """Take note of a change of an object that belongs to a workload.

        Parameters
        ----------
        version
            How far the watch has come: an object that is gone does not say when that was.
        """
        if new is not None:
            version = new["metadata"]["resourceVersion"]
            text = f"{_name(resource, new)} by {_writers(old, new)}: {_state(resource, new)}"
        elif old is not None:
            text = f"{_name(resource, old)} is gone"
        else:
            return
        self._entries[app].append(Entry(time.monotonic(), int(version), text))

    def story(self, app: str, at: float, killed_at: Iterable[float]) -> list[str]:
        """Return what was seen around a moment, by revision, with the kills in between.

        Parameters
        ----------
        at, killed_at
            Moments of the monotonic clock.
        """
        entries = [e for e in self._entries[app] if -BEFORE_S <= e.seen_at - at <= AFTER_S]
        entries.sort(key=lambda entry: entry.revision)
        lines = [f"{e.seen_at - at:+8.3f} s  @{e.revision}  {e.text}" for e in entries]
        for killed in sorted(
            (k for k in killed_at if -BEFORE_S <= k - at <= AFTER_S), reverse=True
        ):
            position = sum(entry.seen_at <= killed for entry in entries)
            lines.insert(position, f"{killed - at:+8.3f} s  the controllers are killed")
        return lines


def _name(resource: Resource, item: Document) -> str:
    return f"{resource.kind} {item['metadata']['name']}"


def _writers(old: Document | None, new: Document) -> str:
    """Return whose managed fields are not what they were; a deletion changes none."""
    before = (old or {}).get("metadata", {}).get("managedFields", [])
    changed = [each for each in new["metadata"].get("managedFields", []) if each not in before]
    return ", ".join(_writer(each) for each in changed) or "nobody who owns fields"


def _writer(entry: Document) -> str:
    subresource = entry.get("subresource")
    return f"{entry['manager']} ({subresource})" if subresource else str(entry["manager"])


def _state(resource: Resource, item: Document) -> str:
    if resource in (DEPLOYMENTS, REPLICA_SETS):
        return _scaled_state(item)
    status = item.get("status", {})
    words = [status.get("phase", "Pending"), "ready" if is_ready(item) else "not ready"]
    words.append(f"on {node_of(item)}" if node_of(item) else "on no node")
    owners = [each["name"] for each in item["metadata"].get("ownerReferences", ())]
    words.append(f"of {', '.join(owners) or 'nobody'}")
    if "deletionTimestamp" in item["metadata"]:
        words.append("going")
    return ", ".join(words)


def _scaled_state(item: Document) -> str:
    meta, spec, status = item["metadata"], item["spec"], item.get("status", {})
    version = spec["template"]["metadata"].get("annotations", {}).get("version", "?")
    return (
        f"template {version}, {spec.get('replicas')} replicas, generation {meta.get('generation')};"
        f" tells of generation {status.get('observedGeneration', 0)}:"
        f" {status.get('replicas', 0)} pods, {status.get('availableReplicas', 0)} available"
    )
