"""The admission plugins that somebody has to ask for, and what those do that are told something."""

import pytest

from kubeberth.api.tolerations import is_superset, merged
from kubeberth.apiserver.admission_selection import AdmissionSettings
from kubeberth.apiserver.app import App, AppSettings
from kubeberth.apiserver.auth.authn import AUTHENTICATED, User
from kubeberth.apiserver.storage.memory import MemoryStore
from kubeberth.clock import SystemClock
from kubeberth.errors import UsageError

PODS = "/api/v1/namespaces/{}/pods"
SERVICES = "/api/v1/namespaces/default/services"
EVENTS = "/api/v1/namespaces/default/events"
ALICE = User("alice", frozenset((AUTHENTICATED,)))
GROUP = "rbac.authorization.k8s.io"


def on(*names, **configuration):
    return AdmissionSettings(enable=names, configuration=configuration)


def pod(name, **spec):
    containers = [{"name": "c", "image": "nginx:1"}]
    return {"metadata": {"name": name}, "spec": {"containers": containers, **spec}}


def anti_affinity(key, rule="podAntiAffinity", strength="required"):
    term = {"labelSelector": {}, "topologyKey": key}
    name = f"{strength}DuringSchedulingIgnoredDuringExecution"
    terms = [term] if strength == "required" else [{"weight": 1, "podAffinityTerm": term}]
    return {"affinity": {rule: {name: terms}}}


def test_required_anti_affinity_is_by_host_alone(run):
    async def scenario(api):
        zone = "topology.kubernetes.io/zone"
        answer = await api.pod("p", **anti_affinity(zone))
        assert answer.message.endswith(
            "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey "
            f"{zone} but only key kubernetes.io/hostname is allowed"
        )
        for number, spec in enumerate(
            (
                anti_affinity("kubernetes.io/hostname"),
                anti_affinity(zone, rule="podAffinity"),
                anti_affinity(zone, strength="preferred"),
            )
        ):
            assert (await api.pod(f"p{number}", **spec)).code == 201

    run(scenario, admission=on("LimitPodHardAntiAffinityTopology"))


def test_pods_that_ask_for_a_device_tolerate_its_taint(run):
    async def scenario(api):
        amounts = {"example.com/gpu": "1", "cpu": "1", "example.com/a": "2"}
        container = {"name": "c", "image": "nginx", "resources": {"limits": amounts}}
        spec = (await api.pod("p", containers=[container])).json["spec"]
        added = [t for t in spec["tolerations"] if "example.com" in t["key"]]
        assert added == [
            {"key": f"example.com/{name}", "operator": "Exists", "effect": "NoSchedule"}
            for name in ("a", "gpu")
        ]
        changed = await api.patch(
            f"{PODS.format('default')}/p", {"metadata": {"labels": {"a": "b"}}}
        )
        assert changed.json["spec"]["tolerations"] == spec["tolerations"]

    run(scenario, admission=on("ExtendedResourceToleration"))


def test_every_image_is_pulled_again(run):
    async def scenario(api):
        container = {"name": "c", "image": "nginx:1", "imagePullPolicy": "Never"}
        init = {"name": "i", "image": "nginx:1"}
        image = {"name": "v", "image": {"reference": "r:1", "pullPolicy": "IfNotPresent"}}
        answer = await api.pod("p", containers=[container], initContainers=[init], volumes=[image])
        spec = answer.json["spec"]
        policies = [c["imagePullPolicy"] for c in (*spec["containers"], *spec["initContainers"])]
        assert policies == ["Always", "Always"]
        assert spec["volumes"][0]["image"]["pullPolicy"] == "Always"

    run(scenario, admission=on("AlwaysPullImages"))


def test_a_service_gets_no_external_address_it_did_not_have(run):
    async def scenario(api):
        service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
        external = {**service, "spec": {**service["spec"], "externalIPs": ["10.1.1.1"]}}
        why = "Use of external IPs is denied by admission control"
        answer = await api.post(SERVICES, external)
        assert (answer.code, answer.message) == (403, f'services "s" is forbidden: {why}')
        assert (await api.post(SERVICES, service)).code == 201
        change = {"spec": {"externalIPs": ["10.1.1.1"]}}
        answer = await api.patch(f"{SERVICES}/s", change)
        assert answer.message.endswith(why)

    run(scenario, admission=on("DenyServiceExternalIPs"))


def test_the_first_object_makes_its_namespace(run):
    async def scenario(api):
        settings = "/api/v1/namespaces/fresh/configmaps"
        assert (await api.post(f"{settings}?dryRun=All", {"metadata": {"name": "m"}})).code == 404
        assert (await api.post(settings, {"metadata": {"name": "m"}})).code == 201
        assert (await api.get("/api/v1/namespaces/fresh")).json["status"] == {"phase": "Active"}

    run(scenario, admission=on("NamespaceAutoProvision"))


def test_every_write_needs_its_namespace(run):
    async def scenario(api):
        answer = await api.post("/api/v1/namespaces/none/configmaps", {"metadata": {"name": "m"}})
        assert (answer.code, answer.message) == (404, 'namespaces "none" not found')
        assert (await api.config_map("m")).code == 201

    settings = AdmissionSettings(enable=("NamespaceExists",), disable=("NamespaceLifecycle",))
    run(scenario, admission=settings)


def test_a_plugin_that_admits_everything_is_as_good_as_none(run):
    async def scenario(api):
        assert (await api.config_map("m")).code == 201

    run(scenario, admission=on("AlwaysAdmit"))


async def allow_alice(api, verbs, resource):
    rules = [{"verbs": verbs, "apiGroups": [""], "resources": [resource]}]
    path = f"/apis/{GROUP}/v1"
    name = resource.replace("/", "-") + "-" + "-".join(verbs)
    await api.post(f"{path}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "User", "apiGroup": GROUP, "name": "alice"}],
    }
    assert (await api.post(f"{path}/clusterrolebindings", binding)).code == 201


def test_who_ties_an_object_to_an_owner_may_delete_it_and_finalize_the_owner(run):
    async def scenario(api):
        await allow_alice(api, ["get", "patch"], "configmaps")
        await api.config_map("m")
        path = "/api/v1/namespaces/default/configmaps/m"
        owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
        change = {"metadata": {"ownerReferences": [owner]}}
        answer = await api.patch(path, change, user=ALICE)
        assert answer.message.endswith(
            "cannot set an ownerRef on a resource you can't delete: , <nil>"
        )
        await allow_alice(api, ["delete"], "configmaps")
        assert (await api.patch(path, change, user=ALICE)).code == 200
        owner["blockOwnerDeletion"] = True
        answer = await api.patch(path, change, user=ALICE)
        assert answer.message.endswith(
            "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set "
            "finalizers on: , <nil>"
        )
        await allow_alice(api, ["update"], "pods/finalizers")
        assert (await api.patch(path, change, user=ALICE)).code == 200
        owner |= {"kind": "Nothing", "uid": "w"}
        answer = await api.patch(path, change, user=ALICE)
        assert "cannot find RESTMapping for APIVersion v1 Kind Nothing" in answer.message

    run(scenario, admission=on("OwnerReferencesPermissionEnforcement"))


def event(name, subject="p"):
    involved = {"kind": "Pod", "namespace": "default", "name": subject}
    return {"metadata": {"name": name}, "involvedObject": involved, "type": "Normal"}


def test_too_many_events_are_turned_away(run):
    limit = {"limits": [{"type": "SourceAndObject", "qps": 1, "burst": 2}]}

    async def scenario(api):
        codes = [(await api.post(EVENTS, event(f"e{n}"))).code for n in range(3)]
        assert codes == [201, 201, 429]
        answer = await api.post(EVENTS, event("e3"))
        assert answer.message == "limit reached on type SourceAndObject for key Poddefaultp"
        assert (await api.post(EVENTS, event("other", "q"))).code == 201
        assert (await api.config_map("m")).code == 201

    run(scenario, admission=on("EventRateLimit", EventRateLimit=limit))


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ([], "must have limits"),
        ([{"type": "Moon", "qps": 1, "burst": 1}], "limits of type 'Moon' are not known"),
        ([{"type": "Server", "qps": 1}], "burst must be a positive number"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits, why):
    settings = on("EventRateLimit", EventRateLimit={"limits": limits, "kind": "Configuration"})
    with pytest.raises(UsageError, match=why):
        App(MemoryStore(), SystemClock(), AppSettings(admission=settings))


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ({"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoExecute"}, True),
        ({"key": "a", "operator": "Exists"}, {"key": "a", "value": "b"}, True),
        ({"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}, False),
        ({"key": "a", "operator": "Exists", "effect": "NoSchedule"}, {"key": "a"}, False),
        (
            {"key": "a", "operator": "Equal", "value": "v"},
            {"key": "a", "operator": "Equal", "value": "v", "effect": "NoSchedule"},
            True,
        ),
        ({"key": "a", "operator": "Equal"}, {"key": "a", "operator": "Equal", "value": "v"}, False),
        (
            {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10},
            {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5},
            True,
        ),
        (
            {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10},
            {"key": "a", "operator": "Exists", "effect": "NoExecute"},
            False,
        ),
    ],
)
def test_one_toleration_covers_another(wide, narrow, expected):
    assert is_superset(wide, narrow) is expected


def test_merged_tolerations_cover_each_other_no_more():
    narrow = {"key": "a", "operator": "Equal", "value": "v"}
    wide = {"key": "a", "operator": "Exists"}
    assert merged([narrow], [wide, narrow]) == [wide]
    assert merged([wide], [narrow]) == [wide]
    assert merged([narrow], [dict(narrow)]) == [narrow]


def annotated(name, **annotations):
    prefix = "scheduler.alpha.kubernetes.io/"
    keys = {"selector": "node-selector", "defaults": "defaultTolerations"}
    return {
        "metadata": {
            "name": name,
            "annotations": {prefix + keys[key]: value for key, value in annotations.items()},
        }
    }


def test_a_namespace_says_where_its_pods_run_and_what_they_tolerate(run):
    async def scenario(api):
        team = '[{"key":"team","operator":"Exists"}]'
        namespace = annotated("a", selector="pool=blue", defaults=team)
        await api.post("/api/v1/namespaces", namespace)
        spec = (await api.post(PODS.format("a"), pod("p"))).json["spec"]
        assert spec["nodeSelector"] == {"pool": "blue"}
        assert {"key": "team", "operator": "Exists"} in spec["tolerations"]
        answer = await api.post(PODS.format("a"), pod("q", nodeSelector={"pool": "red"}))
        assert answer.message.endswith(
            "pod node label selector conflicts with its namespace node label selector"
        )

    settings = AdmissionSettings(
        enable=("PodNodeSelector", "PodTolerationRestriction"), disable=("ServiceAccount",)
    )
    run(scenario, admission=settings)


def test_an_annotation_that_makes_no_sense_stops_pods(run):
    async def scenario(api):
        for name, annotations in (
            ("words", {"selector": "pool"}),
            ("object", {"defaults": "{}"}),
        ):
            await api.post("/api/v1/namespaces", annotated(name, **annotations))
            answer = await api.post(PODS.format(name), pod("p"))
            assert answer.code == 500
            assert "reason" not in answer.json

    settings = AdmissionSettings(
        enable=("PodNodeSelector", "PodTolerationRestriction"), disable=("ServiceAccount",)
    )
    run(scenario, admission=settings)


def test_pods_stay_as_long_as_the_server_is_told_on_nodes_that_are_gone(run):
    async def scenario(api):
        spec = (await api.pod("p")).json["spec"]
        assert [t["tolerationSeconds"] for t in spec["tolerations"]] == [60, 120]

    run(scenario, admission=AdmissionSettings(not_ready_s=60, unreachable_s=120))
