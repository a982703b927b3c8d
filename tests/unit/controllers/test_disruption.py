"""Disruption budgets: how many pods may go."""

import msgspec
import pytest

from kubeberth.api.core import Pod
from kubeberth.api.policy import PodDisruptionBudget
from kubeberth.clock import rfc3339
from kubeberth.controllers.disruption import reconcile

NOW = 1_800_000_000.0


def pods(n_ready, n_waiting=0):
    states = ["True"] * n_ready + ["False"] * n_waiting
    return [
        msgspec.convert(
            {
                "metadata": {"name": f"web-{index}", "namespace": "n"},
                "status": {"conditions": [{"type": "Ready", "status": state}]},
            },
            Pod,
        )
        for index, state in enumerate(states)
    ]


def budget(status=None, **spec):
    document = {
        "metadata": {"name": "web", "namespace": "n", "generation": 1, "resourceVersion": "7"},
        "spec": spec,
        "status": status or {},
    }
    return msgspec.convert(document, PodDisruptionBudget)


def counts(found, **spec):
    """Return allowed, healthy, desired and expected, of a controller that wants four pods."""
    (patch,) = reconcile(budget(**spec), found, {"u": 4}, NOW).actions
    status = patch.patch["status"]
    fields = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    return tuple(status[field] for field in fields)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"minAvailable": 2}, (1, 3, 2, 4), id="a number that must stay"),
        pytest.param({"minAvailable": "50%"}, (1, 3, 2, 4), id="a share that must stay"),
        pytest.param({"maxUnavailable": 1}, (0, 3, 3, 4), id="a number that may be missing"),
        pytest.param({"maxUnavailable": "30%"}, (1, 3, 2, 4), id="a share, rounded up"),
        pytest.param({"minAvailable": 0}, (3, 3, 0, 4), id="none need stay"),
    ],
)
def test_so_many_may_go_that_enough_stay(spec, expected):
    assert counts(pods(3, 1), **spec) == expected


def test_nothing_may_go_where_nothing_is_expected():
    (patch,) = reconcile(budget(maxUnavailable=1), pods(1), {}, NOW).actions
    assert patch.patch["status"]["disruptionsAllowed"] == 0


def test_a_budget_that_is_for_nobody_is_told_so():
    first = reconcile(budget(minAvailable=1), [], {}, NOW).actions
    event, patch = first
    assert (event.reason, event.message) == ("NoPods", "No matching pods found")
    told = {key: value for key, value in patch.patch["status"].items() if value is not None}
    assert reconcile(budget(told, minAvailable=1), [], {}, NOW).actions == (event,)


def test_a_pod_that_was_just_evicted_is_not_counted_for_a_while():
    status = {"disruptedPods": {"web-0": rfc3339(NOW - 60), "web-1": rfc3339(NOW - 180)}}
    outcome = reconcile(budget(status, minAvailable=1), pods(3), {"u": 3}, NOW)
    (patch,) = outcome.actions
    assert patch.patch["status"]["currentHealthy"] == 2
    assert patch.patch["status"]["disruptedPods"] == {"web-0": rfc3339(NOW - 60), "web-1": None}
    assert outcome.requeue_after_s == pytest.approx(60)


def test_a_status_that_is_right_is_left_alone():
    first = reconcile(budget(minAvailable=1), pods(2), {}, NOW).actions[0].patch["status"]
    told = {key: value for key, value in first.items() if value is not None}
    assert reconcile(budget(told, minAvailable=1), pods(2), {}, NOW + 9).actions == ()
