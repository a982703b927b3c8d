"""What a server would refuse, or fill in, is refused and filled in by a plan, in its words."""

from __future__ import annotations

import pytest
from tests.unit.planner.clusters import deployment, node, plan, pod, template, where, zones

from kubeberth.planner.planning import RefusedError
from kubeberth.planner.reports.text import to_text
from kubeberth.planner.words import headline


def named(api_version, kind, name, **fields):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}


def quota(**hard):
    return named("v1", "ResourceQuota", "small", spec={"hard": hard})


def namespace(level):
    made = named("v1", "Namespace", "default")
    made["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": level}
    return made


GVISOR = named(
    "node.k8s.io/v1",
    "RuntimeClass",
    "gvisor",
    handler="runsc",
    overhead={"podFixed": {"cpu": "500m"}},
    scheduling={"nodeSelector": {"sandbox": "yes"}},
)


def webhooks(kind, name, *resources, groups=("apps",)):
    rules = [{"apiGroups": list(groups), "resources": list(resources)}]
    hook = {"name": "a.example.com", "rules": rules}
    return named("admissionregistration.k8s.io/v1", kind, name, webhooks=[hook])


def stored(document):
    meta = document["metadata"]
    return {**document, "metadata": {**meta, "uid": meta["name"], "resourceVersion": "1"}}


def test_webhooks_that_would_be_asked_are_named():
    asked = [
        webhooks("MutatingWebhookConfiguration", "injector", "deployments"),
        webhooks("ValidatingWebhookConfiguration", "all", "*", groups=("*",)),
        webhooks("ValidatingWebhookConfiguration", "widgets", "widgets", groups=("example.com",)),
    ]
    found = plan([*zones(3), *map(stored, asked)], deployment("web", 1))
    assert [f"{each.kind} {each.name}" for each in found.uncalled] == [
        "MutatingWebhookConfiguration injector",
        "ValidatingWebhookConfiguration all",
    ]
    assert "not called, so what they change or refuse is not in here:" in to_text(found)


def test_a_deployment_gets_as_many_pods_as_its_quota_allows():
    found = plan([*zones(3), quota(pods="2")], deployment("web", 3))
    assert found.n_placed == 2
    assert headline(found) == "2 pods placed, 0 pending, 1 not made"
    assert not found.is_good
    assert any(
        "is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"
        in stuck.why
        for stuck in found.stuck
    )


def test_a_pod_that_does_not_say_what_is_counted_is_refused_where_it_stands():
    lone = pod("lone")
    del lone["spec"]["containers"][0]["resources"]
    words = 'app.yaml:.*pods "lone" is forbidden: failed quota: small: must specify cpu for: c'
    with pytest.raises(RefusedError, match=words):
        plan([*zones(1), quota(cpu="4")], lone)


def test_what_is_there_already_counts():
    there = [pod("one", node_name="n1"), pod("two", node_name="n1")]
    with pytest.raises(RefusedError, match="used: pods=2, limited: pods=2"):
        plan([*zones(1), *there, quota(pods="2")], pod("three"))


def test_a_rollout_gets_the_room_that_its_old_pods_give_back():
    before = deployment("web", 2, strategy={"type": "Recreate"})
    after = deployment("web", 2, image="nginx:2", strategy={"type": "Recreate"})
    found = plan([*zones(1), before, quota(pods="2")], after)
    assert found.is_good, found.stuck
    assert found.n_placed == 2


def test_what_a_quota_gets_back_is_asked_for_again_however_long_it_was_refused():
    spec = {"replicas": 6, "selector": {"app": "web"}, "template": template("web", cpu="700m")}
    cluster = [*zones(1, cpu="2"), quota(pods="4"), named("v1", "ReplicationController", "web")]
    cluster[-1]["spec"] = spec
    found = plan(cluster, drain=("n1",))
    assert (found.workloads[0].placed, found.workloads[0].pending) == (0, 4)


def test_a_pod_takes_over_overhead_and_nodes_of_its_runtime_class():
    cluster = [node("n1"), node("n2", sandbox="yes"), GVISOR]
    found = plan(cluster, pod("safe", runtimeClassName="gvisor"))
    assert where(found) == {"safe": "n2"}
    assert {use.name: use.resources["cpu"].after for use in found.nodes} == {"n1": 0, "n2": 1500}


def test_a_runtime_class_that_is_not_there_is_told():
    words = 'pod rejected: RuntimeClass "gvisor" not found'
    with pytest.raises(RefusedError, match=words):
        plan(zones(1), pod("safe", runtimeClassName="gvisor"))


def test_a_namespace_says_how_safe_its_pods_must_be():
    unsafe = template("web", hostNetwork=True)
    lone = {"apiVersion": "v1", "kind": "Pod", **unsafe}
    lone["metadata"]["name"] = "lone"
    with pytest.raises(RefusedError, match='violates PodSecurity "baseline:latest": host namesp'):
        plan([*zones(1), namespace("baseline")], lone)
    found = plan([*zones(1), namespace("baseline")], deployment("web", 1, hostNetwork=True))
    assert found.n_placed == 0
    assert any("violates PodSecurity" in stuck.why for stuck in found.stuck)


def test_a_namespace_warns_of_what_pods_are_made_from():
    warning = namespace("privileged")
    warning["metadata"]["labels"]["pod-security.kubernetes.io/warn"] = "baseline"
    found = plan([*zones(1), warning], deployment("web", 1, hostNetwork=True))
    assert found.n_placed == 1
    assert [(each.where, each.message) for each in found.warnings] == [
        (
            "app.yaml:1",
            'would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
        )
    ]
    assert to_text(found).startswith("app.yaml:1: Warning: would violate PodSecurity")
