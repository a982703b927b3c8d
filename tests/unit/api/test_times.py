import pytest

from kubeberth.api.times import TimeError, canonical_micro_time, canonical_time, seconds_of


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2024-05-05T05:05:05Z", "2024-05-05T05:05:05Z"),
        ("2024-05-05T07:05:05+02:00", "2024-05-05T05:05:05Z"),
        ("2024-05-05T05:05:05.999Z", "2024-05-05T05:05:05Z"),
    ],
)
def test_times_are_told_in_utc_and_whole_seconds(text, canonical):
    assert canonical_time(text) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yesterday", 'cannot parse "yesterday" as "2006"'),
        ("2024-05-05", 'cannot parse "" as "T"'),
        ("2024-05-05T05:05:05", 'cannot parse "" as "Z07:00"'),
    ],
)
def test_what_is_no_time_is_refused_in_gos_words(text, message):
    with pytest.raises(TimeError) as error:
        canonical_time(text)
    assert str(error.value) == f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": {message}'


def test_a_day_that_does_not_exist_is_refused():
    with pytest.raises(TimeError, match="day out of range"):
        canonical_time("2024-02-30T00:00:00Z")


def test_micro_times_need_their_decimals():
    assert canonical_micro_time("2024-05-05T05:05:05.123456Z") == "2024-05-05T05:05:05.123456Z"
    with pytest.raises(TimeError, match=r'cannot parse "Z" as "\.000000"'):
        canonical_micro_time("2024-05-05T05:05:05Z")


def test_seconds_are_those_since_1970():
    assert seconds_of("1970-01-01T00:01:00Z") == 60
