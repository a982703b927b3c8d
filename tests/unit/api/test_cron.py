"""Cron schedules."""

import pytest

from kubeberth.api.cron import schedule_error


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
    ],
)
def test_what_is_no_schedule_is_told_in_the_words_of_the_real_parser(text, why):
    assert schedule_error(text) == why
