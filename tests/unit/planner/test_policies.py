"""Admission policies have the say in a plan that they have in a server."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.planner.clusters import (
    deployment,
    plan,
    pod,
    policy,
    template,
    workload,
    zones,
)

from kubeberth.api.defaults import apply_defaults
from kubeberth.api.scheme import DEPLOYMENTS
from kubeberth.errors import InvalidObjectError
from kubeberth.planner.anonymous import anonymised
from kubeberth.planner.planning import RefusedError
from kubeberth.planner.reports.junit import to_junit
from kubeberth.planner.reports.text import to_text
from kubeberth.planner.snapshot import kept
from kubeberth.planner.words import notes

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}

SMALL = "object.spec.replicas <= 2"


def test_a_manifest_that_a_policy_denies_is_refused_in_the_servers_words():
    words = (
        r'app.yaml:1: Deployment: The deployments "web" is invalid: : '
        r"ValidatingAdmissionPolicy 'rules' with binding 'binding' denied request: not so"
    )
    with pytest.raises(RefusedError, match=words):
        plan([*zones(3), *policy(SMALL)], deployment("web", 3))
    found = plan([*zones(3), *policy(SMALL)], deployment("web", 2))
    assert (found.n_placed, found.uncalled) == (2, ())


def test_pods_that_a_policy_denies_are_not_made():
    only = "object.spec.containers.all(c, c.image.startsWith('registry.example.com/'))"
    found = plan([*zones(3), *policy(only, "pods")], deployment("web", 2))
    assert found.n_placed == 0
    assert any("denied request: not so" in stuck.why for stuck in found.stuck)


def test_each_policy_that_cannot_change_an_object_has_a_line():
    cluster = zones(3)
    for name in ("first", "second"):
        change = '[JSONPatch{op: "remove", path: "/spec/tolerations/7"}]'
        made = policy(change, "pods", kind="Mutating", name=name)
        made[1]["metadata"] = {**made[1]["metadata"], "name": name, "uid": f"of-{name}"}
        cluster += made
    with pytest.raises(RefusedError) as refused:
        plan(cluster, pod("web"))
    why = "denied request: JSONPath: unable to access invalid index: 7"
    assert str(refused.value).splitlines() == [
        f'app.yaml:1: Pod: The pods "web" is invalid: : policy '
        f"'{name}' with binding '{name}' {why}"
        for name in ("first", "second")
    ]


def test_a_deployment_whose_replica_sets_are_denied_is_told_to_have_failed_and_no_more():
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["replicasets"],
    }
    never = policy("false", matchConstraints={"resourceRules": [rule]})
    found = plan([*zones(3), *never], workload("Deployment", "web", 2, progressDeadlineSeconds=25))
    assert found.n_placed == 0
    assert any("denied request: not so" in stuck.why for stuck in found.stuck)


def test_a_policy_that_is_to_warn_warns():
    found = plan([*zones(3), *policy(SMALL, actions=["Warn", "Audit"])], deployment("web", 3))
    warning = (
        "Validation failed for ValidatingAdmissionPolicy 'rules' with binding 'binding': not so"
    )
    assert [each.message for each in found.warnings] == [warning]
    assert to_text(found).startswith(f"app.yaml:1: Warning: {warning}\n")
    assert warning in to_junit(found)
    assert found.n_placed == 3


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"matchConditions": [{"name": "no", "expression": "false"}]}, id="condition"),
        pytest.param(
            {"matchResources": {"namespaceSelector": {"matchLabels": {"tier": "x"}}}},
            id="namespace",
        ),
        pytest.param(
            {"matchResources": {"objectSelector": {"matchLabels": {"tier": "x"}}}}, id="labels"
        ),
        pytest.param({"failurePolicy": "Ignore", "expression": "object.nothing"}, id="failure"),
    ],
)
def test_a_policy_is_asked_only_about_what_it_means(spec):
    expression = spec.pop("expression", SMALL)
    found = plan([*zones(3), NAMESPACE, *policy(expression, **spec)], deployment("web", 3))
    assert found.n_placed == 3


def test_an_expression_without_a_value_refuses_unless_it_says_otherwise():
    with pytest.raises(RefusedError, match="no such key"):
        plan([*zones(3), *policy("object.nothing")], deployment("web", 3))


LIMIT = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"most": "2"}}
BY_LIMIT = {
    "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
    "paramRef": {
        "name": "limit",
        "namespace": "default",
        "parameterNotFoundAction": "Deny",
    },
}
BELOW = "object.spec.replicas <= int(params.data.most)"


def test_a_policy_goes_by_the_parameters_that_came_with_the_cluster():
    limit = {**LIMIT, "metadata": {"name": "limit", "namespace": "default"}}
    with pytest.raises(RefusedError, match="denied request: not so"):
        plan([*zones(3), *policy(BELOW, **BY_LIMIT), limit], deployment("web", 3))
    assert plan([*zones(3), *policy(BELOW, **BY_LIMIT), limit], deployment("web", 2)).is_good


def test_parameters_may_be_of_a_kind_of_the_users_own():
    kind = {"apiVersion": "example.com/v1", "kind": "ReplicaLimit"}
    limit = {**kind, "metadata": {"name": "limit", "namespace": "default"}, "most": 2}
    given = {**BY_LIMIT, "paramKind": kind}
    bound = policy("object.spec.replicas <= params.most", **given)
    with pytest.raises(RefusedError, match="denied request: not so"):
        plan([*zones(3), *bound, limit], deployment("web", 3))


@pytest.mark.parametrize(
    ("expression", "spec"),
    [
        pytest.param("authorizer.path('/x').check('get').allowed()", {}, id="rights"),
        pytest.param("request.userInfo.username == 'jane'", {}, id="sender"),
        pytest.param(BELOW, BY_LIMIT, id="parameters that did not come"),
    ],
)
def test_a_policy_that_goes_by_what_no_plan_knows_is_named(expression, spec):
    found = plan([*zones(3), *policy(expression, **spec)], deployment("web", 1))
    assert [each.name for each in found.uncalled] == ["rules"]
    assert found.n_placed == 1


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(7, id="no object"),
        pytest.param({"matchConstraints": {"resourceRules": 3}}, id="no rules"),
        pytest.param({"validations": [3]}, id="no validation"),
    ],
)
def test_a_policy_that_is_none_is_told(spec):
    cluster = policy("true")
    cluster[0]["spec"] = spec
    with pytest.raises(InvalidObjectError, match="ValidatingAdmissionPolicy"):
        plan([*zones(3), *cluster], deployment("web", 1))


@pytest.mark.parametrize("part", ["variables", "validations", "matchConditions"])
def test_a_policy_that_lacks_a_part_refuses_nothing_by_accident(part):
    found = plan([*zones(3), *policy("true", **{part: [{}]})], deployment("web", 1))
    assert [each.name for each in found.uncalled] == ["rules"]


def test_a_policy_in_words_that_are_not_known_here_is_named():
    found = plan([*zones(3), *policy("tomorrow.isBetter(object)")], deployment("web", 1))
    assert ([each.name for each in found.uncalled], found.n_placed) == (["rules"], 1)


def test_a_policy_that_nothing_binds_has_no_say():
    unbound, _ = policy("false")
    found = plan([*zones(3), unbound], deployment("web", 1))
    assert (found.n_placed, found.uncalled) == (1, ())


def test_a_policy_changes_pods_before_they_are_placed():
    change = """[JSONPatch{op: "add", path: "/spec/nodeSelector", value: {"disk": "ssd"}}]"""
    cluster = [*zones(3), *policy(change, "pods", kind="Mutating")]
    cluster[1]["metadata"]["labels"]["disk"] = "ssd"
    found = plan(cluster, pod("lone"), deployment("web", 2))
    assert {each.node for each in found.pods} == {"n2"}


def test_what_a_policy_cannot_change_is_told():
    change = """[JSONPatch{op: "remove", path: "/spec/nothing"}]"""
    with pytest.raises(RefusedError, match="policy 'rules' with binding 'binding' denied request"):
        plan([*zones(3), *policy(change, "pods", kind="Mutating")], pod("lone"))


def test_a_policy_that_has_a_controller_go_on_for_ever_ends_the_plan():
    """Without its affinity, a pod of a DaemonSet is for no node in particular."""
    change = """[JSONPatch{op: "remove", path: "/spec/affinity"}]"""
    cluster = [*zones(3), *policy(change, "pods", kind="Mutating")]
    found = plan(cluster, workload("DaemonSet", "agent"))
    assert not found.came_to_rest
    assert not found.is_good


def test_who_owns_which_field_is_nothing_to_a_policy():
    old = deployment("web", 1)
    owners = [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]
    known = {"namespace": "default", "uid": "web", "resourceVersion": "1"}
    old["metadata"] |= {**known, "managedFields": owners}
    apply_defaults(DEPLOYMENTS, old)
    found = plan([*zones(3), old, *policy(SMALL)], deployment("web", 2))
    assert found.workloads[0].placed == 2


def test_what_nobody_may_change_is_told_before_a_policy_is_asked():
    job = {"spec": {"template": template("once", restartPolicy="Never")}}
    job |= {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}}
    other = {**job, "spec": {"template": template("once", image="x", restartPolicy="Never")}}
    bound = policy("object.spec.template == oldObject.spec.template", "jobs")
    bound[0]["spec"]["matchConstraints"]["resourceRules"][0]["apiGroups"] = ["batch"]
    with pytest.raises(RefusedError, match="field is immutable"):
        plan([*zones(3), job, *bound], other)


def test_sizes_that_a_policy_denies_are_not_taken():
    ready = [*zones(3), deployment("web", 1), *policy("object.spec.replicas <= 1", "replicasets")]
    ready[-2]["spec"]["matchConstraints"]["resourceRules"][0]["apiGroups"] = ["apps"]
    found = plan(ready, scale=(("web", 3),))
    assert found.n_placed == 0
    assert any("denied request: not so" in stuck.why for stuck in found.stuck)


@pytest.mark.parametrize(("since", "nodes"), [("CREATE", {}), ("UPDATE", {"n1": 1})])
def test_what_a_policy_makes_of_a_change_has_to_be_allowed_too(since, nodes):
    """To end a pod, its Job takes its finalizer away, and the policy what others it tolerates."""
    change = (
        """[JSONPatch{op: "add", path: "/spec/tolerations", value: [{"operator": "Exists"}]}]"""
    )
    job = {"spec": {"parallelism": 1, "template": template("once", restartPolicy="Never")}}
    job |= {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}}
    rules, binding = policy(change, "pods", kind="Mutating")
    rules["spec"]["matchConstraints"]["resourceRules"][0]["operations"] = [since, "UPDATE"]
    found = plan([*zones(1), job, rules, binding], scale=(("Job/once", 0),))
    assert found.workloads[0].nodes == nodes
    why = [stuck.why for stuck in found.stuck]
    assert all("existing toleration can not be modified" in each for each in why)
    assert bool(why) == bool(nodes)


def snapshot(*documents):
    return [msgspec.json.decode(msgspec.json.encode(kept(each))) for each in documents]


def test_a_snapshot_keeps_policies_and_their_parameters():
    limit = {**LIMIT, "metadata": {"name": "limit", "namespace": "default"}}
    there = snapshot(*zones(3), NAMESPACE, *policy(BELOW, **BY_LIMIT), limit)
    with pytest.raises(RefusedError, match="denied request: not so"):
        plan(there, deployment("web", 3))


def test_pods_of_what_a_snapshot_holds_in_part_are_not_judged():
    probed = "object.spec.containers.all(c, has(c.readinessProbe))"
    old = deployment("web", 1)
    old["metadata"] |= {"uid": "web", "resourceVersion": "1", "namespace": "default"}
    there = snapshot(*zones(3), NAMESPACE, *policy(probed, "pods"), old)
    assert plan(there, scale=(("web", 3),)).n_placed == 2
    assert plan(there, deployment("new", 1)).n_placed == 0


def test_a_policy_that_is_asked_about_what_goes_is_named_when_something_does():
    keep = policy("false", "pods")
    keep[0]["spec"]["matchConstraints"]["resourceRules"][0]["operations"] = ["DELETE"]
    cluster = [*zones(3), *keep, deployment("web", 2)]
    assert plan(cluster, deployment("new", 1)).uncalled == ()
    [named] = plan(cluster, scale=(("web", 1),)).uncalled
    assert (named.kind, named.name, named.about) == (
        "ValidatingAdmissionPolicy",
        "rules",
        "what goes",
    )
    [line] = notes(plan(cluster, deployment("web", 2, image="nginx:2")))
    assert line == (
        "not called, so what they change or refuse is not in here: "
        "ValidatingAdmissionPolicy/rules (about what goes)"
    )


@pytest.mark.parametrize(
    ("operation", "resource", "is_named"),
    [
        pytest.param("CREATE", "pods/eviction", True, id="evictions"),
        pytest.param("*", "*/*", True, id="everything"),
        pytest.param("DELETE", "pods", False, id="what is deleted, and not evicted"),
    ],
)
def test_a_drain_names_who_is_asked_about_evictions(operation, resource, is_named):
    asked = policy("true", "pods")
    rule = asked[0]["spec"]["matchConstraints"]["resourceRules"][0]
    rule |= {"operations": [operation], "resources": [resource], "apiGroups": ["*"]}
    found = plan([*zones(3), *asked, deployment("web", 2)], drain=("n1",))
    assert [each.about for each in found.uncalled] == ["what goes"] * is_named


def test_a_policy_that_is_not_asked_about_what_a_snapshot_holds_in_part_is_named():
    old = deployment("web", 1)
    old["metadata"] |= {"uid": "web", "resourceVersion": "1", "namespace": "default"}
    grows = policy("oldObject == null || object.spec.replicas >= oldObject.spec.replicas")
    there = snapshot(*zones(3), NAMESPACE, *grows, old)
    assert plan(there, deployment("new", 1)).uncalled == ()
    [named] = plan(there, deployment("web", 2)).uncalled
    assert (named.name, named.about) == ("rules", "what is here in part")


def test_without_names_a_policy_says_just_what_it_is_asked_about():
    there = anonymised(snapshot(*zones(3), NAMESPACE, *policy("object.metadata.name == 'secret'")))
    assert b"secret" not in msgspec.json.encode(there)
    found = plan(there, deployment("web", 1))
    assert [each.name for each in found.uncalled] == ["policy-1"]
