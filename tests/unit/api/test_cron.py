"""Cron schedules."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from kubeberth.api.cron import parse_schedule, schedule_error


@pytest.mark.parametrize("text", ["*/5 * * * *", "0 9-17 * * mon-fri", "1,2 0 1 jan *", "@daily"])
def test_a_schedule_has_five_fields_or_a_name(text):
    assert schedule_error(text) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("every day", "expected exactly 5 fields, found 2: [every day]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("9-8 * * * *", "beginning of range (9) beyond end of range (8): 9-8"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@noon", "unrecognized descriptor: @noon"),
        (
            "@every soon",
            'failed to parse duration @every soon: time: invalid duration "soon"',
        ),
        (
            "@every 9999999h",
            'failed to parse duration @every 9999999h: time: invalid duration "9999999h"',
        ),
    ],
)
def test_what_is_no_schedule_is_told_in_the_words_of_the_real_parser(text, why):
    assert schedule_error(text) == why


def due(text, after, zone="UTC", n=1):
    """Return the next times after one, by the clock of the zone."""
    where = ZoneInfo(zone)
    moment, found = datetime.fromisoformat(after).replace(tzinfo=where), []
    for _ in range(n):
        moment = parse_schedule(text).after(moment, where)
        found.append(moment.astimezone(where).strftime("%a %Y-%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("* * * * *", "2027-01-01 10:00:00", "Fri 2027-01-01 10:01"),
        ("* * * * *", "2027-01-01 10:00:59", "Fri 2027-01-01 10:01"),
        ("*/15 * * * *", "2027-01-01 10:46:00", "Fri 2027-01-01 11:00"),
        ("5/20 * * * *", "2027-01-01 10:26:00", "Fri 2027-01-01 10:45"),
        ("30 6-16/4 * * 1-5", "2027-01-01 14:30:00", "Mon 2027-01-04 06:30"),
        ("0 0 * * SUN", "2027-01-01 00:00:00", "Sun 2027-01-03 00:00"),
        ("0 9 1,15 * *", "2027-01-01 09:00:00", "Fri 2027-01-15 09:00"),
        ("59 23 31 dec ?", "2027-12-31 23:59:00", "Sun 2028-12-31 23:59"),
        ("0 0 29 2 *", "2027-01-01 00:00:00", "Tue 2028-02-29 00:00"),
        ("@yearly", "2027-01-01 00:00:00", "Sat 2028-01-01 00:00"),
        ("@monthly", "2027-01-31 00:00:00", "Mon 2027-02-01 00:00"),
        ("@weekly", "2027-01-01 00:00:00", "Sun 2027-01-03 00:00"),
        ("@midnight", "2027-01-01 00:00:00", "Sat 2027-01-02 00:00"),
        ("@hourly", "2027-01-01 00:59:59", "Fri 2027-01-01 01:00"),
        ("@every 1h30m", "2027-01-01 00:10:20", "Fri 2027-01-01 01:40"),
        ("@every 10ms", "2027-01-01 00:00:59", "Fri 2027-01-01 00:01"),
    ],
)
def test_a_schedule_is_next_due_when_all_its_fields_fit(text, after, expected):
    assert due(text, after) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("0 0 13 * 5", ["Fri 2027-01-08", "Wed 2027-01-13"], id="either kind of day"),
        pytest.param("0 0 * * 5", ["Fri 2027-01-08", "Fri 2027-01-15"], id="only a weekday"),
        pytest.param("0 0 13 * *", ["Wed 2027-01-13", "Sat 2027-02-13"], id="only a day"),
        pytest.param("0 0 */2 * 5", ["Sun 2027-01-03", "Tue 2027-01-05"], id="steps are no star"),
        pytest.param("0 0 */1 * 5", ["Fri 2027-01-08", "Fri 2027-01-15"], id="every one is"),
    ],
)
def test_of_two_kinds_of_days_one_is_enough_unless_the_other_is_a_star(text, expected):
    assert [text[:14] for text in due(text, "2027-01-01 12:00:00", n=2)] == expected


@pytest.mark.parametrize("text", ["0 0 31 2 *", "0 0 30 feb *", ", * * * *"])
def test_a_schedule_that_never_comes_true_is_never_due(text):
    assert parse_schedule(text).after(datetime(2027, 1, 1, tzinfo=UTC), UTC) is None


def test_an_hour_that_is_left_out_in_spring_is_not_made_up_for():
    found = due("30 2 * * *", "2027-03-27 12:00:00", "Europe/Berlin", n=2)
    assert found == ["Mon 2027-03-29 02:30", "Tue 2027-03-30 02:30"]


def test_an_hour_that_comes_twice_in_autumn_counts_twice():
    found = due("30 2 * * *", "2027-10-30 12:00:00", "Europe/Berlin", n=3)
    assert found == ["Sun 2027-10-31 02:30", "Sun 2027-10-31 02:30", "Mon 2027-11-01 02:30"]


def test_a_day_whose_midnight_is_left_out_has_its_other_hours():
    found = due("0 1 * * *", "2018-11-03 12:00:00", "America/Sao_Paulo", n=2)
    assert found == ["Sun 2018-11-04 01:00", "Mon 2018-11-05 01:00"]
