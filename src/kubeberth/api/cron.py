"""Cron schedules: parsing them, and when they are due.

Matches the parser that Kubernetes 1.36 uses (`robfig/cron` v3, standard fields and descriptors),
also in what becomes of a clock that is put forward or back: an hour that does not exist is left
out, one that comes twice counts twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from kubeberth.api.times import TimeError, duration_s

# As far ahead as is looked: a schedule that is not due until then never is.
HORIZON_YEARS = 5


class ScheduleError(ValueError):
    """A text is no schedule; reads as the parser prints it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which numbers a field may hold, and the names that some of them have."""

    first: int
    last: int
    names: Mapping[str, int] = field(default_factory=dict)


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
DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "


@dataclass(frozen=True, slots=True)
class _Values:
    """The numbers that a field allows.

    Parameters
    ----------
    is_any
        Whether it says `*`: then the other one of the two kinds of days decides alone.
    """

    numbers: frozenset[int]
    is_any: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """Minutes of the wall clock at which something is due."""

    minutes: _Values
    hours: _Values
    days: _Values
    months: _Values
    weekdays: _Values

    def after(self, moment: datetime, zone: tzinfo) -> datetime | None:
        """Return the first time after a moment, in UTC, by the wall clock of a zone; or None."""
        at = moment.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        last_year = at.year + HORIZON_YEARS
        while (local := at.astimezone(zone)).year <= last_year:
            if local.month not in self.months.numbers:
                at = _midnight(local.replace(day=1) + timedelta(days=31), day=1)
            elif not self._is_day(local):
                at = _midnight(local + timedelta(days=1))
            elif local.hour not in self.hours.numbers:
                at += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minutes.numbers:
                at += timedelta(minutes=1)
            else:
                return at
        return None

    def _is_day(self, local: datetime) -> bool:
        is_day = local.day in self.days.numbers
        is_weekday = local.isoweekday() % 7 in self.weekdays.numbers
        if self.days.is_any or self.weekdays.is_any:
            return is_day and is_weekday
        return is_day or is_weekday


@dataclass(frozen=True, slots=True)
class Every:
    """A period that begins with the moment that is asked about."""

    period_s: int

    def after(self, moment: datetime, zone: tzinfo) -> datetime | None:
        """Return the first time after a moment, in UTC; zones do not matter."""
        return moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=self.period_s)


def _midnight(local: datetime, day: int | None = None) -> datetime:
    start = local.replace(hour=0, minute=0, fold=0)
    return (start if day is None else start.replace(day=day)).astimezone(UTC)


def schedule_error(text: str) -> str:
    """Return why a text is no schedule; empty when it is one."""
    try:
        parse_schedule(text)
    except ScheduleError as error:
        return str(error)
    return ""


def parse_schedule(text: str) -> Schedule | Every:
    """Return the schedule of a text such as `30 6 * * mon-fri`, `@daily` or `@every 1h30m`.

    Raises
    ------
    ScheduleError
        The text is none.
    """
    if not text:
        raise ScheduleError("empty spec string")
    if text.startswith(_EVERY):
        return _parse_every(text)
    if text.startswith("@"):
        if text not in DESCRIPTORS:
            raise ScheduleError(f"unrecognized descriptor: {text}")
        text = DESCRIPTORS[text]
    parts = text.split()
    if len(parts) != len(FIELDS):
        listed = " ".join(parts)
        raise ScheduleError(
            f"expected exactly {len(FIELDS)} fields, found {len(parts)}: [{listed}]"
        )
    return Schedule(
        *(_parse_field(part, bounds) for part, bounds in zip(parts, FIELDS, strict=True))
    )


def _parse_every(text: str) -> Every:
    try:
        period_s = duration_s(text.removeprefix(_EVERY))
    except TimeError as error:
        raise ScheduleError(f"failed to parse duration {text}: {error}") from error
    return Every(max(1, int(period_s)))


def _parse_field(text: str, bounds: Bounds) -> _Values:
    numbers: set[int] = set()
    is_any = False
    for expression in text.replace(",", " ").split():
        found = _parse_range(expression, bounds)
        numbers.update(found)
        is_any |= expression.partition("/")[0] in ("*", "?") and found.step == 1
    return _Values(frozenset(numbers), is_any)


def _parse_range(expression: str, bounds: Bounds) -> range:
    """Return what `*`, `3`, `1-5` or either with `/2` behind it stands for."""
    span, *steps = expression.split("/")
    ends = span.split("-")
    if len(steps) > 1:
        raise ScheduleError(f"too many slashes: {expression}")
    if len(ends) > 2:
        raise ScheduleError(f"too many hyphens: {expression}")
    if span in ("*", "?"):
        numbers = [bounds.first, bounds.last]
    else:
        numbers = [_number(end, bounds) for end in ends]
    step = 1
    if steps:
        step = _number(steps[0], Bounds(0, 0))
        if step == 0:
            raise ScheduleError(f"step of range should be a positive number: {expression}")
        if len(numbers) == 1:
            numbers.append(bounds.last)
    first, last = numbers[0], numbers[-1]
    if first < bounds.first:
        what = f"beginning of range ({first}) below minimum ({bounds.first})"
    elif last > bounds.last:
        what = f"end of range ({last}) above maximum ({bounds.last})"
    elif first > last:
        what = f"beginning of range ({first}) beyond end of range ({last})"
    else:
        return range(first, last + 1, step)
    raise ScheduleError(f"{what}: {expression}")


def _number(text: str, bounds: Bounds) -> int:
    """Return the number that a text stands for."""
    if (named := bounds.names.get(text.lower())) is not None:
        return named
    try:
        number = int(text)
    except ValueError as error:
        why = f'strconv.Atoi: parsing "{text}": invalid syntax'
        raise ScheduleError(f"failed to parse int from {text}: {why}") from error
    if number < 0:
        raise ScheduleError(f"negative number ({number}) not allowed: {text}")
    return number
