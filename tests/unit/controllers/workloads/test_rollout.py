import pytest
from tests.objects import deployment

from kubeberth.controllers.workloads.rollout import (
    Bounds,
    Size,
    bounds_of,
    new_set_target,
    old_set_targets,
    proportional_targets,
)


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "most", "least"),
    [
        pytest.param(10, "25%", "25%", 13, 8, id="N125"),
        pytest.param(1, "25%", "25%", 2, 1, id="N126"),
        pytest.param(3, 0, "10%", 3, 2, id="N127: both zero means one unavailable"),
        pytest.param(3, 1, 0, 4, 3, id="numbers"),
        pytest.param(2, 0, 5, 2, 0, id="never more unavailable than there are"),
        pytest.param(0, "25%", "25%", 0, 0, id="nothing wanted"),
        pytest.param(4, "100%", "50%", 8, 2, id="large shares"),
    ],
)
def test_surge_rounds_up_and_unavailable_rounds_down(replicas, surge, unavailable, most, least):
    bounds = bounds_of(deployment(replicas, surge=surge, unavailable=unavailable))
    assert (bounds.most, bounds.least_available) == (most, least)


def test_recreate_has_no_bounds_to_move_in():
    assert bounds_of(deployment(3, strategy="Recreate")) == Bounds(3, 0, 0)


@pytest.mark.parametrize(
    ("current", "total", "target"),
    [
        pytest.param(0, 10, 3, id="room for the surge"),
        pytest.param(3, 13, 3, id="no room"),
        pytest.param(3, 11, 5, id="what old sets gave up"),
        pytest.param(9, 10, 10, id="never more than wanted"),
        pytest.param(12, 12, 10, id="too many already"),
        pytest.param(0, 20, 0, id="over the bounds: nothing is taken away here"),
    ],
)
def test_the_new_set_grows_into_the_room_there_is(current, total, target):
    bounds = Bounds(10, 3, 2)
    assert new_set_target(bounds, current, total, rolling=True) == target


def test_outside_of_a_rolling_update_the_new_set_gets_all_at_once():
    assert new_set_target(Bounds(10, 0, 0), 0, 10, rolling=False) == 10


def test_old_sets_shrink_only_as_far_as_enough_stays_available():
    new = Size("new", 3, available=0, age=(2, "new"))
    old = [Size("old", 10, available=10, age=(1, "old"))]
    targets = old_set_targets(Bounds(10, 3, 2), old, new)
    assert targets == {"old": 8}


def test_unhealthy_replicas_of_the_oldest_sets_go_first():
    new = Size("new", 3, available=3, age=(3, "new"))
    old = [Size("b", 5, available=5, age=(2, "b")), Size("a", 5, available=2, age=(1, "a"))]
    targets = old_set_targets(Bounds(10, 3, 2), old, new)
    assert targets == {"a": 0, "b": 5}


def test_nothing_is_taken_while_the_new_pods_are_not_available():
    new = Size("new", 5, available=0, age=(2, "new"))
    old = [Size("old", 8, available=8, age=(1, "old"))]
    assert old_set_targets(Bounds(10, 3, 2), old, new) == {"old": 8}


def test_nobody_knows_that_pods_of_a_set_are_unhealthy_before_it_has_told():
    new = Size("new", 3, available=3, age=(3, "new"))
    silent = Size("a", 5, available=0, is_observed=False, age=(1, "a"))
    told = Size("b", 5, available=3, age=(2, "b"))
    assert old_set_targets(Bounds(10, 3, 2), [silent, told], new) == {"a": 5, "b": 3}


def test_scaling_amid_a_rollout_gives_each_set_its_share():
    """N128: 10 to 20 with 8 old and 5 new and a surge of 3 gives 14 and 9."""
    sizes = [
        Size("old", 8, age=(1, "old"), most_before=13),
        Size("new", 5, age=(2, "new"), most_before=13),
    ]
    assert proportional_targets(Bounds(20, 3, 2), sizes, 13) == {"old": 14, "new": 9}


def test_what_rounding_leaves_over_goes_to_the_largest():
    sizes = [Size(name, 2, age=(age, name), most_before=6) for age, name in enumerate("abc")]
    targets = proportional_targets(Bounds(7, 0, 1), sizes, 6)
    assert targets == {"a": 2, "b": 2, "c": 3}, "the newest grows when all are as large"


def test_scaling_down_to_zero_empties_every_set():
    sizes = [Size("a", 4, age=(1, "a"), most_before=7), Size("b", 3, age=(2, "b"), most_before=7)]
    assert proportional_targets(Bounds(0, 0, 0), sizes, 7) == {"a": 0, "b": 0}
