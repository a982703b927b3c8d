"""Kinds around pods, through the server: what it fills in, counts, refuses and answers."""

import asyncio

from kubeberth.apiserver.auth.authn import AUTHENTICATED, User
from kubeberth.apiserver.storage.memory import MemoryStore

HOME = "/api/v1/namespaces/default"
PODS = f"{HOME}/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
JANE = User.of("jane", ("dev", AUTHENTICATED))


async def running(api, name, *, ready="True", **spec):
    await api.pod(name, nodeName="n", labels={"app": "web"}, **spec)
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}
    await api.patch(f"{PODS}/{name}/status", {"status": status})


async def budget(api, allowed, **spec):
    body = {
        "metadata": {"name": "web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}, **spec},
    }
    await api.post(BUDGETS, body)
    counts = {"currentHealthy": 1, "desiredHealthy": 2, "expectedPods": 2}
    status = {"observedGeneration": 1, "disruptionsAllowed": allowed, **counts}
    await api.patch(f"{BUDGETS}/web/status", {"status": status})


async def evict(api, name, query=""):
    return await api.post(f"{PODS}/{name}/eviction{query}", {"metadata": {"name": name}})


def test_an_eviction_takes_one_of_the_disruptions_that_its_budget_allows(run):
    async def scenario(api):
        await running(api, "a")
        await running(api, "b")
        await budget(api, allowed=1)
        assert (await evict(api, "a", "?dryRun=All")).code == 201
        assert (await evict(api, "a")).code == 201
        status = (await api.get(f"{BUDGETS}/web")).json["status"]
        assert status["disruptionsAllowed"] == 0
        assert set(status["disruptedPods"]) == {"a"}
        answer = await evict(api, "b")
        assert answer.code == 429
        assert answer.json["details"]["causes"] == [
            {
                "reason": "DisruptionBudget",
                "message": "The disruption budget web needs 2 healthy pods and has 1 currently",
            }
        ]
        assert "retry-after" not in answer.headers

    run(scenario)


def test_a_pod_that_is_not_ready_may_go_when_its_budget_does_not_mind(run):
    async def scenario(api):
        await running(api, "a", ready="False")
        await budget(api, allowed=0, unhealthyPodEvictionPolicy="AlwaysAllow")
        assert (await evict(api, "a")).code == 201

    run(scenario)


def test_a_new_budget_is_asked_again_later(run):
    async def scenario(api):
        await running(api, "a")
        body = {"metadata": {"name": "new"}, "spec": {"minAvailable": 0, "selector": {}}}
        await api.post(BUDGETS, body)
        answer = await evict(api, "a")
        assert (answer.code, answer.json["details"]["retryAfterSeconds"]) == (429, 10)

    run(scenario)


def test_a_quota_counts_what_is_created_and_refuses_what_is_too_much(run):
    async def scenario(api):
        quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
        await api.post(f"{HOME}/resourcequotas", quota)
        counted = {"status": {"hard": {"pods": "1"}, "used": {"pods": "0"}}}
        await api.patch(f"{HOME}/resourcequotas/q/status", counted)
        assert (await api.pod("a")).code == 201
        answer = await api.pod("b")
        assert answer.code == 403
        assert answer.message == (
            'pods "b" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, '
            "limited: pods=1"
        )

    run(scenario)


class StoreOnDisk(MemoryStore):
    """Takes its time to write, so that others go on meanwhile."""

    async def update(self, key, value, expected):
        await asyncio.sleep(0)
        return await super().update(key, value, expected)


def test_a_quota_lets_no_more_in_when_many_ask_at_once(run):
    async def scenario(api):
        quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "5"}}}
        await api.post(f"{HOME}/resourcequotas", quota)
        counted = {"status": {"hard": {"pods": "5"}, "used": {"pods": "0"}}}
        await api.patch(f"{HOME}/resourcequotas/q/status", counted)
        answers = await asyncio.gather(*(api.pod(f"p{number}") for number in range(40)))
        assert sorted(answer.code for answer in answers) == [201] * 5 + [403] * 35
        used = (await api.get(f"{HOME}/resourcequotas/q")).json["status"]["used"]
        assert used == {"pods": "5"}

    run(scenario, store=StoreOnDisk())


def test_a_limit_range_fills_in_what_containers_leave_open(run):
    async def scenario(api):
        item = {"type": "Container", "default": {"cpu": "1"}, "max": {"cpu": "2"}}
        body = {"metadata": {"name": "l"}, "spec": {"limits": [item]}}
        await api.post(f"{HOME}/limitranges", body)
        pod = (await api.pod("a")).json
        assert pod["spec"]["containers"][0]["resources"] == {
            "limits": {"cpu": "1"},
            "requests": {"cpu": "1"},
        }

    run(scenario)


def test_a_claim_without_a_class_gets_the_newest_default_class(run):
    async def scenario(api):
        mark = {"storageclass.kubernetes.io/is-default-class": "true"}
        body = {"metadata": {"name": "fast", "annotations": mark}, "provisioner": "a/b"}
        await api.post("/apis/storage.k8s.io/v1/storageclasses", body)
        resources = {"requests": {"storage": "1Gi"}}
        spec = {"accessModes": ["ReadWriteOnce"], "resources": resources}
        claims = f"{HOME}/persistentvolumeclaims"
        claim = (await api.post(claims, {"metadata": {"name": "c"}, "spec": spec})).json
        assert claim["spec"]["storageClassName"] == "fast"
        assert claim["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
        none = {"metadata": {"name": "d"}, "spec": {**spec, "storageClassName": ""}}
        assert (await api.post(claims, none)).json["spec"]["storageClassName"] == ""

    run(scenario)


def test_an_autoscaler_is_one_object_in_two_versions(run):
    async def scenario(api):
        target = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}
        spec = {"scaleTargetRef": target, "maxReplicas": 3, "targetCPUUtilizationPercentage": 70}
        path = "/apis/autoscaling/{}/namespaces/default/horizontalpodautoscalers"
        await api.post(path.format("v1"), {"metadata": {"name": "web"}, "spec": spec})
        new = (await api.get(f"{path.format('v2')}/web")).json
        (metric,) = new["spec"]["metrics"]
        assert metric["resource"] == {
            "name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 70},
        }
        old = (await api.get(f"{path.format('v1')}/web")).json
        assert (old["apiVersion"], old["spec"]) == ("autoscaling/v1", {**spec, "minReplicas": 1})

    run(scenario)


async def give(api, verbs, resources, *, groups=("",)):
    rule = {"verbs": verbs, "resources": resources, "apiGroups": list(groups)}
    await api.post(f"{RBAC}/namespaces/default/roles", {"metadata": {"name": "r"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "r"},
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "Group", "name": "dev"}],
    }
    await api.post(f"{RBAC}/namespaces/default/rolebindings", binding)


def test_a_role_binding_takes_effect_at_once_and_ends_with_it(run):
    async def scenario(api):
        assert (await api.get(PODS, user=JANE)).code == 403
        await give(api, ["list"], ["pods"])
        assert (await api.get(PODS, user=JANE)).code == 200
        assert (await api.get("/api/v1/pods", user=JANE)).code == 403
        await api.delete(f"{RBAC}/namespaces/default/rolebindings/r")
        assert (await api.get(PODS, user=JANE)).code == 403

    run(scenario)


def test_a_review_tells_who_may_do_what_and_why(run):
    async def scenario(api):
        await give(api, ["list"], ["pods"])
        attributes = {"namespace": "default", "verb": "list", "resource": "pods"}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        body = {"spec": {"resourceAttributes": attributes}}
        assert (await api.post(path, body, user=JANE)).json["status"] == {
            "allowed": True,
            "reason": 'RBAC: allowed by RoleBinding "r/default" of Role "r" to Group "dev"',
        }
        attributes["verb"] = "delete"
        assert (await api.post(path, body, user=JANE)).json["status"] == {"allowed": False}
        who = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        assert (await api.post(who, {}, user=JANE)).json["status"]["userInfo"] == {
            "username": "jane",
            "groups": ["dev", "system:authenticated"],
        }

    run(scenario)


def test_nobody_gives_away_rights_that_they_do_not_have(run):
    async def scenario(api):
        await give(api, ["create"], ["roles"], groups=["rbac.authorization.k8s.io"])
        rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
        body = {"metadata": {"name": "more"}, "rules": [rule]}
        answer = await api.post(f"{RBAC}/namespaces/default/roles", body, user=JANE)
        assert answer.code == 403
        assert answer.message.endswith(
            "is attempting to grant RBAC permissions not currently held:\n"
            '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'
        )

    run(scenario)
