"""When a cron job is due: the last time that was missed, and the next one.

Matches Kubernetes 1.36 (`pkg/controller/cronjob/utils.go`), with its rough count of missed times.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from kubeberth.api.cron import Every, Schedule

MANY = 100
# As upstream, so that it is certainly time when the job is looked at again.
DELAY_S = 0.1


class NeverDueError(ValueError):
    """The schedule names moments that do not exist, such as the 31st of February."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """A schedule by the wall clock of a zone."""

    schedule: Schedule | Every
    zone: tzinfo

    def after(self, moment: datetime) -> datetime:
        """Return the first time after a moment.

        Raises
        ------
        NeverDueError
            There is none.
        """
        found = self.schedule.after(moment, self.zone)
        if found is None:
            raise NeverDueError("time difference between two schedules is less than 1 second")
        return found


@dataclass(frozen=True, slots=True)
class Missed:
    """What was due and is not done yet.

    Parameters
    ----------
    latest
        The last of the missed times; None when none is known.
    n_missed
        How many there were, roughly.
    """

    latest: datetime | None
    n_missed: int


def missed(table: Timetable, since: datetime, now: datetime) -> Missed:
    """Return which times were missed after one moment and up to another.

    Raises
    ------
    NeverDueError
        The schedule is never due.
    """
    first = table.after(since)
    if now < first:
        return Missed(None, 0)
    second = table.after(first)
    if now < second:
        return Missed(first, 1)
    period_s = round((second - first).total_seconds())
    n_missed = int((now - first).total_seconds()) // period_s + 1
    # Goes back one period more than it should be: schedules need not be regular.
    at = table.after(first + timedelta(seconds=(n_missed - 2) * period_s))
    latest = None
    while at <= now:
        latest, at = at, table.after(at)
    return Missed(latest, n_missed)


def next_in_s(table: Timetable, since: datetime, now: datetime) -> float:
    """Return how long it is to the next time."""
    try:
        found = missed(table, since, now)
    except NeverDueError:
        base = now
    else:
        base = found.latest or (now if found.n_missed else since)
    return (table.after(base) - now).total_seconds() + DELAY_S


def moment(seconds: float) -> datetime:
    """Return seconds since 1970 as a moment."""
    return datetime.fromtimestamp(seconds, UTC)
