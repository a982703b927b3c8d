"""The roles that every cluster starts with: for people, and for what runs in it."""

from __future__ import annotations

import pytest

from kubeberth.apiserver.app import App
from kubeberth.apiserver.auth import controller_roles
from kubeberth.apiserver.auth.authn import AUTHENTICATED, User
from kubeberth.apiserver.auth.controller_roles import MANAGER
from kubeberth.clock import SystemClock
from kubeberth.controllers.supervisor import ControllerSettings, reconcilers

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def bound(role, user, namespace="default"):
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    metadata = {"name": f"{user}-{role}".replace(":", "-")}
    return {"metadata": metadata, "roleRef": reference, "subjects": [subject]}


async def may(api, user, verb, resource, group="", namespace="default", **more):
    plural, _, sub = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": sub, **more}
    if namespace:
        attributes["namespace"] = namespace
    answer = await api.post(REVIEWS, {"spec": {"user": user, "resourceAttributes": attributes}})
    return answer.json["status"]["allowed"]


@pytest.mark.parametrize(
    ("verb", "resource", "group", "roles"),
    [
        ("get", "pods", "", "view edit admin"),
        ("watch", "deployments", "apps", "view edit admin"),
        ("get", "pods/log", "", "view edit admin"),
        ("list", "secrets", "", "edit admin"),
        ("create", "pods", "", "edit admin"),
        ("create", "pods/exec", "", "edit admin"),
        ("create", "pods/eviction", "", "edit admin"),
        ("deletecollection", "configmaps", "", "edit admin"),
        ("create", "serviceaccounts/token", "", "edit admin"),
        ("impersonate", "serviceaccounts", "", "edit admin"),
        ("create", "rolebindings", "rbac.authorization.k8s.io", "admin"),
        ("create", "localsubjectaccessreviews", "authorization.k8s.io", "admin"),
        ("get", "roles", "rbac.authorization.k8s.io", "admin"),
        ("update", "resourcequotas", "", ""),
        ("delete", "namespaces", "", ""),
        ("create", "nodes", "", ""),
        ("update", "pods/status", "", ""),
        ("create", "pods/binding", "", ""),
        ("escalate", "roles", "rbac.authorization.k8s.io", ""),
    ],
)
def test_what_people_may_do_in_their_namespace(run, verb, resource, group, roles):
    async def scenario(api):
        for role in ("view", "edit", "admin"):
            await api.post(f"{RBAC}/namespaces/default/rolebindings", bound(role, f"a-{role}"))
        for role in ("view", "edit", "admin"):
            expected = role in roles.split()
            assert await may(api, f"a-{role}", verb, resource, group) is expected, role
            assert not await may(api, f"a-{role}", verb, resource, group, namespace="kube-system")

    run(scenario)


def test_whoever_defines_a_kind_adds_to_what_people_may_do(run):
    async def scenario(api):
        await api.post(f"{RBAC}/namespaces/default/rolebindings", bound("admin", "ann"))
        assert not await may(api, "ann", "get", "boats", "example.com")
        labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
        rules = [{"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["boats"]}]
        role = {"metadata": {"name": "boats", "labels": labels}, "rules": rules}
        assert (await api.post(f"{RBAC}/clusterroles", role)).code == 201
        assert await may(api, "ann", "get", "boats", "example.com")
        await api.delete(f"{RBAC}/clusterroles/boats")
        assert not await may(api, "ann", "get", "boats", "example.com")

    run(scenario)


def test_what_is_taken_from_a_gathered_role_is_taken_from_who_gathers_it(run):
    async def scenario(api):
        await api.post(f"{RBAC}/namespaces/default/rolebindings", bound("view", "ann"))
        assert await may(api, "ann", "get", "pods")
        shown = (await api.get(f"{RBAC}/clusterroles/view")).json
        assert any("pods" in rule["resources"] for rule in shown["rules"])
        await api.patch(f"{RBAC}/clusterroles/system:aggregate-to-view", {"rules": []})
        assert not await may(api, "ann", "get", "pods")

    run(scenario)


def test_roles_that_gather_each_other_come_to_an_end(run):
    async def scenario(api):
        for name, other in (("a", "b"), ("b", "a")):
            selector = {"clusterRoleSelectors": [{"matchLabels": {"name": other}}]}
            metadata = {"name": name, "labels": {"name": name}}
            role = {"metadata": metadata, "rules": [], "aggregationRule": selector}
            assert (await api.post(f"{RBAC}/clusterroles", role)).code == 201
        await api.post(f"{RBAC}/clusterrolebindings", bound("a", "ann"))
        assert not await may(api, "ann", "get", "pods")

    run(scenario)


def test_nobody_gathers_rights_that_he_does_not_have(run):
    """Whoever may write cluster roles could have a role of his own gather cluster-admin."""
    ann = User("ann", frozenset((AUTHENTICATED,)))

    async def scenario(api):
        writes = {
            "verbs": ["create", "get", "update", "patch"],
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["clusterroles"],
        }
        role = {"metadata": {"name": "writer"}, "rules": [writes]}
        assert (await api.post(f"{RBAC}/clusterroles", role)).code == 201
        assert (await api.post(f"{RBAC}/clusterrolebindings", bound("writer", "ann"))).code == 201
        labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
        gather = {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": labels}]}}
        refused = await api.patch(f"{RBAC}/clusterroles/writer", gather, user=ann)
        assert refused.code == 403
        assert refused.message == (
            'clusterroles.rbac.authorization.k8s.io "writer" is forbidden: must have '
            "cluster-admin privileges to use the aggregationRule"
        )
        other = {"metadata": {"name": "other"}, "rules": [], **gather}
        assert (await api.post(f"{RBAC}/clusterroles", other, user=ann)).code == 403
        assert not await may(api, "ann", "get", "secrets")

    run(scenario)


@pytest.mark.parametrize(
    ("user", "verb", "resource", "group", "is_allowed"),
    [
        ("system:kube-scheduler", "create", "pods/binding", "", True),
        ("system:kube-scheduler", "create", "pods", "", False),
        ("system:kube-scheduler", "get", "secrets", "", False),
        ("system:kube-scheduler", "patch", "nodes", "", False),
        ("system:kube-controller-manager", "list", "pods", "", True),
        ("system:kube-controller-manager", "create", "pods", "", False),
        ("system:kube-controller-manager", "delete", "pods", "", False),
        ("system:kube-controller-manager", "create", "secrets", "", False),
        ("system:kube-controller-manager", "create", "nodes", "", False),
        ("system:kube-controller-manager", "create", "serviceaccounts/token", "", False),
        (
            "system:kube-controller-manager",
            *("create", "clusterrolebindings", "rbac.authorization.k8s.io", False),
        ),
        (
            "system:kube-controller-manager",
            *("escalate", "clusterroles", "rbac.authorization.k8s.io", False),
        ),
        (
            "system:kube-controller-manager",
            *("create", "leases", "coordination.k8s.io", True),
        ),
        (
            "system:kube-controller-manager",
            *("update", "leases", "coordination.k8s.io", False),
        ),
        ("system:kube-controller-manager", "impersonate", "users", "", False),
        ("system:serviceaccount:kube-system:replicaset-controller", "create", "pods", "", True),
        ("system:serviceaccount:kube-system:replicaset-controller", "get", "secrets", "", False),
        ("system:serviceaccount:kube-system:token-cleaner", "delete", "secrets", "", False),
        ("system:kube-proxy", "list", "services", "", True),
        ("system:kube-proxy", "list", "secrets", "", False),
        ("system:anonymous", "list", "pods", "", False),
    ],
)
def test_processes_may_do_what_they_do_and_no_more(run, user, verb, resource, group, is_allowed):
    async def scenario(api):
        assert await may(api, user, verb, resource, group) is is_allowed

    run(scenario)


def test_the_controllers_become_their_accounts_and_no_others(run):
    async def scenario(api):
        async def may_become(name, namespace="kube-system"):
            where = {"namespace": namespace, "name": name}
            return await may(api, MANAGER, "create", "serviceaccounts/token", **where)

        assert await may_become("deployment-controller")
        assert not await may_become("deployment-controller", "default")
        assert not await may_become("cluster-autoscaler")
        assert await may(api, MANAGER, "create", "serviceaccounts", namespace="kube-system")
        assert not await may(api, MANAGER, "create", "serviceaccounts")

    run(scenario)


def test_every_controller_has_an_account_with_a_role():
    class Nobody:
        def sign(self, request: bytes, usages: tuple[str, ...], seconds: int, now: float) -> str:
            return ""

    settings = ControllerSettings(authority=Nobody())
    accounts = {reconciler.account for reconciler in reconcilers(settings)}
    assert accounts <= set(controller_roles.ACCOUNTS)


def test_tokens_are_cleaned_in_their_own_namespace_alone(run):
    async def scenario(api):
        cleaner = "system:serviceaccount:kube-system:token-cleaner"
        assert await may(api, cleaner, "delete", "secrets", namespace="kube-system")
        assert not await may(api, cleaner, "delete", "secrets", namespace="")

    run(scenario)


def started_again(run, change, check):
    """Change a cluster, start another server on its store, and check what is there then."""

    async def scenario(api):
        await change(api)
        api.app.close()
        api.app = App(api.store, SystemClock())
        before = api.store.revision
        await api.app.start()
        await check(api, api.store.revision - before)

    run(scenario)


def test_a_cluster_of_today_is_left_as_it_is(run):
    async def change(api):
        pass

    async def check(api, n_writes):
        assert n_writes == 0

    started_again(run, change, check)


def test_a_cluster_of_an_older_version_gets_what_it_lacks_and_keeps_what_it_has(run):
    scheduler = f"{RBAC}/clusterroles/system:kube-scheduler"
    own = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["boats"]}
    binding = f"{RBAC}/clusterrolebindings/system:discovery"
    ann = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ann"}

    async def change(api):
        await api.patch(scheduler, {"metadata": {"labels": None}, "rules": [own]})
        await api.patch(binding, {"subjects": [ann]})
        await api.delete(f"{RBAC}/clusterroles/system:basic-user")
        await api.patch(f"{RBAC}/clusterroles/view", {"aggregationRule": None})

    async def check(api, n_writes):
        assert n_writes == 4
        role = (await api.get(scheduler)).json
        assert role["metadata"]["labels"] == {"kubernetes.io/bootstrapping": "rbac-defaults"}
        assert own in role["rules"]
        assert await may(api, "system:kube-scheduler", "create", "pods/binding")
        assert await may(api, "system:kube-scheduler", "get", "boats", "example.com")
        subjects = (await api.get(binding)).json["subjects"]
        assert [subject["name"] for subject in subjects] == ["ann", "system:authenticated"]
        assert (await api.get(f"{RBAC}/clusterroles/system:basic-user")).code == 200
        view = (await api.get(f"{RBAC}/clusterroles/view")).json
        assert view["aggregationRule"]["clusterRoleSelectors"]

    started_again(run, change, check)


def test_who_does_not_want_a_role_completed_says_so_in_an_annotation(run):
    scheduler = f"{RBAC}/clusterroles/system:kube-scheduler"

    async def change(api):
        no = {"rbac.authorization.kubernetes.io/autoupdate": "false"}
        await api.patch(scheduler, {"metadata": {"annotations": no}, "rules": []})

    async def check(api, n_writes):
        assert n_writes == 0
        assert not await may(api, "system:kube-scheduler", "create", "pods/binding")

    started_again(run, change, check)


def test_a_binding_that_was_made_one_of_another_role_is_made_anew(run):
    path = f"{RBAC}/clusterrolebindings/system:kube-scheduler"

    async def change(api):
        await api.delete(path)
        body = bound("cluster-admin", "eve")
        body["metadata"]["name"] = "system:kube-scheduler"
        assert (await api.post(f"{RBAC}/clusterrolebindings", body)).code == 201

    async def check(api, n_writes):
        made = (await api.get(path)).json
        assert made["roleRef"]["name"] == "system:kube-scheduler"
        assert [subject["name"] for subject in made["subjects"]] == ["system:kube-scheduler"]
        assert not await may(api, "eve", "get", "pods")

    started_again(run, change, check)


def test_a_server_starts_even_if_somebody_refuses_to_have_its_roles_completed(run, caplog):
    policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    scheduler = f"{RBAC}/clusterroles/system:kube-scheduler"

    async def change(api):
        await api.patch(scheduler, {"rules": []})
        rule = {
            "apiGroups": ["*"],
            "apiVersions": ["*"],
            "resources": ["clusterroles"],
            "operations": ["UPDATE"],
        }
        spec = {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "false"}],
        }
        answer = await api.post(policies, {"metadata": {"name": "no"}, "spec": spec})
        assert answer.code == 201
        bound_to = {"policyName": "no", "validationActions": ["Deny"]}
        body = {"metadata": {"name": "no"}, "spec": bound_to}
        path = f"{policies.removesuffix('policies')}policybindings"
        assert (await api.post(path, body)).code == 201

    async def check(api, n_writes):
        assert n_writes == 0
        assert "cannot complete clusterroles system:kube-scheduler" in caplog.text

    started_again(run, change, check)
