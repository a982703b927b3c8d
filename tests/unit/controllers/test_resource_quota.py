"""Quotas: what is used of them, and when that is written down."""

import msgspec
import pytest
from tests.objects import NOW, pod

from kubeberth.api.core import Service
from kubeberth.api.quota import ResourceQuota
from kubeberth.api.scheme import CONFIG_MAPS, PODS, RESOURCE_QUOTAS, SERVICES
from kubeberth.api.workloads import Object
from kubeberth.clock import rfc3339
from kubeberth.controllers.cache import Cache
from kubeberth.controllers.resource_quota import (
    RESYNC_S,
    SETTLED_S,
    Contents,
    ResourceQuotaReconciler,
    reconcile,
)


def quota(hard, status=None, **spec):
    metadata = {"name": "q", "namespace": "default", "resourceVersion": "7"}
    document = {"metadata": metadata, "spec": {"hard": hard, **spec}, "status": status or {}}
    return msgspec.convert(document, ResourceQuota)


def pods(*items):
    return Contents(PODS, items)


def status_of(outcome):
    [patch] = outcome.actions
    assert patch.patch["metadata"] == {"resourceVersion": "7"}, "nobody's charge may be lost"
    return patch.patch["status"]


def asking(name, *, phase="Running", **requests):
    container = {"name": "c", "resources": {"requests": requests}}
    return pod(name, phase=phase, spec={"containers": [container]})


def used(wanted, *contents):
    return status_of(reconcile(wanted, contents, 0, NOW))["used"]


def test_a_new_quota_is_published_with_what_is_used_already():
    hard = {"pods": "3", "requests.memory": "1Gi", "count/configmaps": "5"}
    found = pods(asking("a", memory="100Mi"), asking("b", memory="28Mi"))
    status = status_of(reconcile(quota(hard), [found, Contents(CONFIG_MAPS, ())], 0, NOW))
    assert status["hard"] == hard
    assert status["used"] == {"pods": "2", "requests.memory": "128Mi", "count/configmaps": "0"}


def test_what_no_kind_counts_is_limited_but_not_used():
    assert used(quota({"pods": "3", "count/unicorns": "1"}), pods()) == {"pods": "0"}


def test_ended_pods_give_back_all_but_their_number_of_objects():
    ended = asking("a", phase="Succeeded", cpu="1")
    hard = {"pods": "3", "requests.cpu": "4", "count/pods": "9"}
    assert used(quota(hard), pods(ended)) == {"pods": "0", "requests.cpu": "0", "count/pods": "1"}


def test_a_pod_that_should_have_been_gone_twice_over_is_not_counted():
    late = {"deletionTimestamp": rfc3339(NOW - 31), "deletionGracePeriodSeconds": 30}
    soon = {"deletionTimestamp": rfc3339(NOW - 29), "deletionGracePeriodSeconds": 30}
    assert used(quota({"pods": "3"}), pods(pod("a", **late), pod("b", **soon))) == {"pods": "1"}


@pytest.mark.parametrize(
    ("scope", "n_pods"),
    [("BestEffort", "1"), ("NotBestEffort", "1"), ("Terminating", "0"), ("NotTerminating", "2")],
)
def test_only_pods_in_scope_are_counted(scope, n_pods):
    found = pods(pod("best-effort"), asking("burstable", cpu="1"))
    assert used(quota({"pods": "3"}, scopes=[scope]), found) == {"pods": n_pods}


def test_node_ports_and_load_balancers_are_counted():
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}, {"port": 443}]}
    service = msgspec.convert({"spec": spec}, Service)
    hard = {"services": "9", "services.nodeports": "9", "services.loadbalancers": "9"}
    assert used(quota(hard), Contents(SERVICES, (service,))) == {
        "services": "1",
        "services.nodeports": "2",
        "services.loadbalancers": "1",
    }


def test_a_quota_that_says_what_is_so_is_left_alone():
    told = {"hard": {"pods": "3"}, "used": {"pods": "1"}}
    outcome = reconcile(quota({"pods": "3"}, told), [pods(pod("a"))], SETTLED_S, NOW)
    assert outcome.actions == ()
    assert outcome.requeue_after_s == RESYNC_S


def test_what_was_charged_just_now_is_not_given_back_before_it_can_be_seen():
    told = {"hard": {"pods": "3"}, "used": {"pods": "2"}}
    early = reconcile(quota({"pods": "3"}, told), [pods(pod("a"))], 0.1, NOW)
    assert (early.actions, early.requeue_after_s) == ((), pytest.approx(SETTLED_S - 0.1))
    late = reconcile(quota({"pods": "3"}, told), [pods(pod("a"))], SETTLED_S, NOW)
    assert status_of(late)["used"] == {"pods": "1"}


def test_a_changed_limit_is_published_at_once_without_giving_anything_back():
    told = {"hard": {"pods": "3", "secrets": "1"}, "used": {"pods": "2", "secrets": "1"}}
    status = status_of(reconcile(quota({"pods": "5"}, told), [pods(pod("a"))], 0, NOW))
    assert status["hard"] == {"pods": "5", "secrets": None}
    assert status["used"] == {"pods": "2", "secrets": None}


def cache_with(hard):
    cache = Cache()
    cache.apply(RESOURCE_QUOTAS, None, quota(hard))
    return cache


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        pytest.param(None, pod("a"), ["default/q"], id="a new pod"),
        pytest.param(pod("a"), None, ["default/q"], id="a pod that went"),
        pytest.param(pod("a"), pod("a", phase="Failed"), ["default/q"], id="a pod that ended"),
        pytest.param(pod("a", phase="Pending"), pod("a"), [], id="a pod that started"),
    ],
)
def test_quotas_are_counted_again_when_what_is_used_may_have_changed(old, new, keys):
    reconciler = ResourceQuotaReconciler()
    assert list(reconciler.keys(cache_with({"pods": "1"}), PODS, old, new)) == keys
    assert list(reconciler.keys(cache_with({"secrets": "1"}), PODS, old, new)) == []


def test_all_kinds_of_a_namespace_are_counted_from_the_cache():
    cache = cache_with({"pods": "1", "configmaps": "2", "resourcequotas": "1"})
    cache.apply(CONFIG_MAPS, None, msgspec.convert({"metadata": {"namespace": "default"}}, Object))
    cache.apply(CONFIG_MAPS, None, msgspec.convert({"metadata": {"namespace": "other"}}, Object))
    outcome = ResourceQuotaReconciler().reconcile(cache, "default/q", NOW, None)
    assert status_of(outcome)["used"] == {"pods": "0", "configmaps": "1", "resourcequotas": "1"}
