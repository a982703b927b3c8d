"""When a key may tell again."""

import pytest

from kubeberth.controllers.telling import LONGEST_REST_S, REST_SHARE, Telling


def test_the_first_time_a_key_tells_at_once():
    assert Telling().wait_s("a", 5.0) == 0


def test_a_key_rests_the_longer_the_longer_it_took_to_tell():
    telling = Telling()
    telling.told("quick", 0.001, 5.0)
    telling.told("slow", 0.01, 5.0)
    assert telling.wait_s("quick", 5.0) == pytest.approx(REST_SHARE * 0.001)
    assert telling.wait_s("slow", 5.0) == pytest.approx(REST_SHARE * 0.01)
    assert telling.wait_s("slow", 5.0 + REST_SHARE * 0.01) == 0
    assert telling.wait_s("another", 5.0) == 0


def test_no_key_rests_for_more_than_a_second_however_long_it_took():
    telling = Telling()
    telling.told("a", 60.0, 5.0)
    assert telling.wait_s("a", 5.0) == LONGEST_REST_S


def test_who_tells_again_rests_from_then_on():
    telling = Telling()
    telling.told("a", 0.1, 5.0)
    telling.told("a", 0.01, 6.0)
    assert telling.wait_s("a", 6.0) == pytest.approx(REST_SHARE * 0.01)


def test_nothing_is_remembered_of_keys_that_have_rested():
    telling = Telling()
    for number in range(1000):
        telling.told(f"key-{number}", 0.01, float(number))
    assert len(telling) == 1
