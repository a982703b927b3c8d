"""What a DELETE does, decided without a store."""

import pytest

from kubeberth.api.scheme import CONFIG_MAPS, PODS
from kubeberth.apiserver.deletion import plan_deletion
from kubeberth.clock import rfc3339


def pod(**metadata):
    return {
        "metadata": {"name": "p", "generation": 1, **metadata},
        "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30},
        "status": {"phase": "Running"},
    }


def deleted(document, resource=PODS, grace_period_s=None, propagation=""):
    return plan_deletion(
        resource,
        document,
        grace_period_s=grace_period_s,
        propagation=propagation,
        now=1000.0,
        stamp=rfc3339,
    )


def test_a_running_pod_is_marked_and_kept_for_its_grace_period():
    plan = deleted(pod())
    assert not plan.removes
    assert plan.document["metadata"] == {
        "name": "p",
        "generation": 2,
        "deletionTimestamp": rfc3339(1030),
        "deletionGracePeriodSeconds": 30,
    }


def test_a_second_delete_can_only_shorten_the_grace_period():
    running = pod(deletionTimestamp=rfc3339(1010), deletionGracePeriodSeconds=30)
    assert deleted(running, grace_period_s=60).document is None
    plan = deleted(running, grace_period_s=5)
    assert plan.document["metadata"]["deletionGracePeriodSeconds"] == 5
    assert plan.document["metadata"]["generation"] == 1
    assert deleted(running, grace_period_s=0).removes


def test_a_shorter_grace_period_counts_from_the_first_delete():
    """It was 20 s ago, for 30 s: with 25 s the pod has 5 s left, and with 1 s it is late."""
    running = pod(deletionTimestamp=rfc3339(1010), deletionGracePeriodSeconds=30)
    for period, ends_at in ((25, 1005), (1, 981)):
        plan = deleted(running, grace_period_s=period)
        assert plan.document["metadata"]["deletionTimestamp"] == rfc3339(ends_at)
        assert not plan.removes


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_needs_no_grace(phase):
    finished = pod() | {"status": {"phase": phase}}
    assert deleted(finished).removes


def test_what_has_no_finalizers_is_removed_without_a_mark():
    plan = deleted({"metadata": {"name": "c"}}, CONFIG_MAPS)
    assert (plan.document, plan.removes) == (None, True)


def test_background_takes_the_finalizers_of_other_policies_away():
    waiting = {"metadata": {"finalizers": ["orphan"], "deletionTimestamp": "t"}}
    plan = deleted(waiting, CONFIG_MAPS, propagation="Background")
    assert plan.removes
    assert "finalizers" not in plan.document["metadata"]
