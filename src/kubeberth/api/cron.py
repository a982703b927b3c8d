"""Cron schedules: what keeps a text from being one.

Matches the parser that Kubernetes 1.36 uses (`robfig/cron` v3, standard fields and descriptors).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which numbers a field may hold, and the names that some of them have."""

    first: int
    last: int
    names: dict[str, int] = field(default_factory=dict)


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Minute, hour, day of the month, month, day of the week.
FIELDS = (
    Bounds(0, 59),
    Bounds(0, 23),
    Bounds(1, 31),
    Bounds(1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    Bounds(0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
DESCRIPTORS = frozenset(
    ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
)
_EVERY = "@every "


def schedule_error(text: str) -> str:
    """Return why a text is no schedule; empty when it is one."""
    if not text:
        return "empty spec string"
    if text.startswith("@"):
        is_known = text in DESCRIPTORS or text.startswith(_EVERY)
        return "" if is_known else f"unrecognized descriptor: {text}"
    parts = text.split()
    if len(parts) != len(FIELDS):
        listed = " ".join(parts)
        return f"expected exactly {len(FIELDS)} fields, found {len(parts)}: [{listed}]"
    for part, bounds in zip(parts, FIELDS, strict=True):
        for expression in part.replace(",", " ").split():
            if error := _range_error(expression, bounds):
                return error
    return ""


def _range_error(expression: str, bounds: Bounds) -> str:
    """Return what is wrong with `*`, `3`, `1-5` or either with `/2` behind it."""
    span, *steps = expression.split("/")
    ends = span.split("-")
    if len(steps) > 1:
        return f"too many slashes: {expression}"
    if len(ends) > 2:
        return f"too many hyphens: {expression}"
    if span in ("*", "?"):
        numbers = [bounds.first, bounds.last]
    else:
        numbers = []
        for end in ends:
            number, error = _number(end, bounds)
            if error:
                return error
            numbers.append(number)
    if steps:
        step, error = _number(steps[0], Bounds(0, 0))
        if error:
            return error
        if step == 0:
            return f"step of range should be a positive number: {expression}"
        if len(numbers) == 1:
            numbers.append(bounds.last)
    first, last = numbers[0], numbers[-1]
    if first < bounds.first:
        return f"beginning of range ({first}) below minimum ({bounds.first}): {expression}"
    if last > bounds.last:
        return f"end of range ({last}) above maximum ({bounds.last}): {expression}"
    if first > last:
        return f"beginning of range ({first}) beyond end of range ({last}): {expression}"
    return ""


def _number(text: str, bounds: Bounds) -> tuple[int, str]:
    """Return the number that a text stands for, or what is wrong with it."""
    if (named := bounds.names.get(text.lower())) is not None:
        return named, ""
    try:
        number = int(text)
    except ValueError:
        why = f'strconv.Atoi: parsing "{text}": invalid syntax'
        return 0, f"failed to parse int from {text}: {why}"
    if number < 0:
        return 0, f"negative number ({number}) not allowed: {text}"
    return number, ""
