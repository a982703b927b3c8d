"""Capacity as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubeberth.placement.why import Obstacle
from kubeberth.planner.capacity import Capacity, Mix, Room
from kubeberth.planner.words import names

_MAX_FACTS = 3


def capacity_text(capacity: Capacity) -> str:
    """Return what fits as people read it, without a newline at the end."""
    parts = [list(_room(room)) for room in capacity.shapes]
    if capacity.mix is not None:
        parts.append(list(_mix(capacity.mix)))
    return "\n\n".join("\n".join(lines) for lines in parts)


def _room(room: Room) -> Iterator[str]:
    copies = "1 more copy fits" if room.copies == 1 else f"{room.copies} more copies fit"
    on = f", on {room.nodes} node{'s' if room.nodes != 1 else ''}" if room.copies else ""
    yield f"{room.name}: {copies}{on}"
    yield from _where(room)
    yield from _next(room)


def _where(room: Room) -> Iterator[str]:
    if set(room.zones) - {""}:
        yield f"  by zone:  {_counts(room.zones)}"
    if len(room.machines) > 1:
        yield from (f"  on nodes of {make}:  {n}" for make, n in room.machines.items())


def _next(room: Room) -> Iterator[str]:
    if not room.message:
        yield "  counting was ended there"
        return
    yield f"  the next one: {room.message}"
    for obstacle in room.obstacles:
        yield from _obstacle(obstacle)


def _obstacle(obstacle: Obstacle) -> Iterator[str]:
    yield f"    {obstacle.reason}: {names(obstacle.nodes)}"
    for fact in obstacle.facts[:_MAX_FACTS]:
        yield f"        {fact.text}"
    if len(obstacle.facts) > _MAX_FACTS:
        yield f"        and {len(obstacle.facts) - _MAX_FACTS} more"


def _mix(mix: Mix) -> Iterator[str]:
    parts = " and ".join(f"{n} {name}" for name, n in mix.parts.items())
    yield f"together: {mix.rounds} times {parts}"
    for room in mix.rooms:
        yield f"  {room.name}: {room.copies}"
        for line in _where(room):
            yield f"  {line}"
    for room in mix.rooms:
        if room.name == mix.stopped_by:
            yield f"  the next set has no room for {room.name}"
            yield from _next(room)
    if not mix.stopped_by:
        yield "  counting was ended there"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{place or 'none'} {n}" for place, n in counts.items())
