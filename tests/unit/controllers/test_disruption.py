"""Disruption budgets: how many pods may go."""

import msgspec
import pytest

from kubeberth.api.batch import Job
from kubeberth.api.core import Pod
from kubeberth.api.meta import OwnerReference
from kubeberth.api.policy import PodDisruptionBudget
from kubeberth.api.scheme import JOBS, POD_DISRUPTION_BUDGETS, PODS, STATEFUL_SETS
from kubeberth.api.workloads import StatefulSet
from kubeberth.clock import rfc3339
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.disruption import DisruptionReconciler, Scales, reconcile

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
    (patch,) = reconcile(budget(**spec), found, Scales({"u": 4}), NOW).actions
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
    (patch,) = reconcile(budget(maxUnavailable=1), pods(1), Scales(), NOW).actions
    assert patch.patch["status"]["disruptionsAllowed"] == 0


def test_a_budget_that_is_for_nobody_is_told_so():
    first = reconcile(budget(minAvailable=1), [], Scales(), NOW).actions
    event, patch = first
    assert (event.reason, event.message) == ("NoPods", "No matching pods found")
    told = {key: value for key, value in patch.patch["status"].items() if value is not None}
    assert reconcile(budget(told, minAvailable=1), [], Scales(), NOW).actions == (event,)


def test_a_pod_that_was_just_evicted_is_not_counted_for_a_while():
    status = {"disruptedPods": {"web-0": rfc3339(NOW - 60), "web-1": rfc3339(NOW - 180)}}
    outcome = reconcile(budget(status, minAvailable=1), pods(3), Scales({"u": 3}), NOW)
    (patch,) = outcome.actions
    assert patch.patch["status"]["currentHealthy"] == 2
    assert patch.patch["status"]["disruptedPods"] == {"web-0": rfc3339(NOW - 60), "web-1": None}
    assert outcome.requeue_after_s == pytest.approx(60)


def test_a_status_that_is_right_is_left_alone():
    first = reconcile(budget(minAvailable=1), pods(2), Scales(), NOW).actions[0].patch["status"]
    told = {key: value for key, value in first.items() if value is not None}
    assert reconcile(budget(told, minAvailable=1), pods(2), Scales(), NOW + 9).actions == ()


def cache_of(*owners):
    """Return a cache with these, each with two pods that the budget is for."""
    cache = Cache()
    for resource, item in owners:
        cache.apply(resource, None, item)
        reference = OwnerReference(
            api_version=resource.api_version,
            kind=resource.kind,
            name=item.metadata.name,
            uid=item.metadata.uid,
            controller=True,
        )
        for number, made in enumerate(pods(2)):
            meta = msgspec.structs.replace(
                made.metadata,
                name=f"{item.metadata.name}-{number}",
                labels={"app": "web"},
                owner_references=(reference,),
            )
            cache.apply(PODS, None, msgspec.structs.replace(made, metadata=meta))
    return cache


def made(kind, name, **spec):
    meta = {"name": name, "namespace": "n", "uid": name}
    return msgspec.convert({"metadata": meta, "spec": spec}, kind)


WEB = STATEFUL_SETS, made(StatefulSet, "web", replicas=4)
BATCH = JOBS, made(Job, "batch")
SELECTOR = {"selector": {"matchLabels": {"app": "web"}}}
UNKNOWN = "jobs.batch does not implement the scale subresource"


def looked_at(cache, found, **options):
    cache.apply(POD_DISRUPTION_BUDGETS, None, found)
    return DisruptionReconciler(**options).reconcile(cache, "n/web", NOW, None).actions


def test_nobody_may_go_while_a_controller_of_the_pods_has_no_size():
    event, patch = looked_at(cache_of(WEB, BATCH), budget(maxUnavailable="75%", **SELECTOR))
    assert event.reason == "CalculateExpectedPodCountFailed"
    assert event.message == f"Failed to calculate the number of expected pods: {UNKNOWN}"
    status = patch.patch["status"]
    (condition,) = status.pop("conditions")
    assert (condition["reason"], condition["message"]) == ("SyncFailed", UNKNOWN)
    assert status == {"disruptionsAllowed": 0}


def test_a_budget_that_failed_is_told_of_once_and_counts_when_it_can():
    (_, patch) = looked_at(cache_of(WEB, BATCH), budget(minAvailable="50%", **SELECTOR))
    told = budget(patch.patch["status"], minAvailable="50%", **SELECTOR)
    (event,) = looked_at(cache_of(WEB, BATCH), told)
    assert event.reason == "CalculateExpectedPodCountFailed"
    (patch,) = looked_at(cache_of(WEB), told)
    assert patch.patch["status"]["conditions"][0]["reason"] == "InsufficientPods"


def test_a_number_that_must_stay_needs_no_sizes():
    (patch,) = looked_at(cache_of(WEB, BATCH), budget(minAvailable=1, **SELECTOR))
    assert patch.patch["status"]["disruptionsAllowed"] == 3


def test_controllers_that_are_not_here_may_count_by_their_pods():
    cache = cache_of(WEB)
    cache.apply(*WEB, None)
    wants = budget(maxUnavailable=1, **SELECTOR)
    _, patch = looked_at(cache, wants)
    assert patch.patch["status"]["conditions"][0]["message"] == (
        'found no controllers for pod "web-0"'
    )
    (patch,) = looked_at(cache, wants, stands_in=True)
    assert patch.patch["status"]["disruptionsAllowed"] == 1
