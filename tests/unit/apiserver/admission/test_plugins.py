"""What the admission plugins fill in and refuse, through a real server."""

import asyncio

import pytest

PODS = "/api/v1/namespaces/{}/pods"


def pod(name, **spec):
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "nginx"}], **spec},
    }


async def namespace(api, name, account=None):
    await api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    if account is not None:
        await api.post(f"/api/v1/namespaces/{name}/serviceaccounts", account)


def test_nothing_is_created_in_a_namespace_that_is_not_there(run):
    async def scenario(api):
        answer = await api.post(PODS.format("nowhere"), pod("p"))
        assert (answer.code, answer.message) == (404, 'namespaces "nowhere" not found')

    run(scenario)


def test_three_namespaces_stay(run):
    async def scenario(api):
        for name in ("default", "kube-system", "kube-public"):
            answer = await api.delete(f"/api/v1/namespaces/{name}")
            assert answer.message.endswith("this namespace may not be deleted")

    run(scenario)


def test_a_pod_gets_the_token_of_its_account(run):
    async def scenario(api):
        await namespace(api, "a", {"metadata": {"name": "default"}})
        spec = (await api.post(PODS.format("a"), pod("p"))).json["spec"]
        assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
        (volume,) = spec["volumes"]
        (mount,) = spec["containers"][0]["volumeMounts"]
        assert volume["name"].startswith("kube-api-access-")
        assert mount == {
            "name": volume["name"],
            "readOnly": True,
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        }

    run(scenario)


def test_a_pod_without_containers_gets_no_token_but_the_reason(run):
    async def scenario(api):
        await namespace(api, "a", {"metadata": {"name": "default"}})
        answer = await api.post(PODS.format("a"), {"metadata": {"name": "p"}})
        assert answer.code == 422
        assert answer.message.endswith("spec.containers: Required value")

    run(scenario)


def test_a_pod_waits_for_the_account_of_a_fresh_namespace(run):
    async def scenario(api):
        await namespace(api, "a")
        creating = asyncio.ensure_future(api.post(PODS.format("a"), pod("p")))
        await asyncio.sleep(0.01)
        account = {"metadata": {"name": "default"}, "automountServiceAccountToken": False}
        await api.post("/api/v1/namespaces/a/serviceaccounts", account)
        assert (await creating).code == 201

    run(scenario)


def test_an_account_that_does_not_exist_is_refused(run):
    async def scenario(api):
        answer = await api.post(PODS.format("default"), pod("p", serviceAccountName="robot"))
        assert answer.code == 403
        assert 'serviceaccount "robot" not found' in answer.message

    run(scenario)


def test_the_priority_class_gives_the_number(run):
    async def scenario(api):
        classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
        await api.post(classes, {"metadata": {"name": "high"}, "value": 1000})
        spec = (await api.post(PODS.format("default"), pod("a", priorityClassName="high"))).json
        assert spec["spec"]["priority"] == 1000
        assert spec["spec"]["preemptionPolicy"] == "PreemptLowerPriority"
        answer = await api.post(PODS.format("default"), pod("b", priorityClassName="none"))
        assert answer.message.endswith("no PriorityClass with name none was found")
        answer = await api.post(PODS.format("default"), pod("c", priority=5))
        assert "the integer value of priority (5) must not be provided" in answer.message

    run(scenario)


def test_there_is_one_default_priority_class(run):
    async def scenario(api):
        classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
        body = {"metadata": {"name": "usual"}, "value": 5, "globalDefault": True}
        assert (await api.post(classes, body)).code == 201
        other = {"metadata": {"name": "other"}, "value": 6, "globalDefault": True}
        answer = await api.post(classes, other)
        assert answer.message.endswith("Only one default can exist")
        spec = (await api.post(PODS.format("default"), pod("p"))).json["spec"]
        assert (spec["priorityClassName"], spec["priority"]) == ("usual", 5)

    run(scenario)


def test_pods_tolerate_failing_nodes_for_five_minutes(run):
    async def scenario(api):
        own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
        spec = (await api.post(PODS.format("default"), pod("p", tolerations=[own]))).json["spec"]
        assert spec["tolerations"] == [
            own,
            {
                "key": "node.kubernetes.io/unreachable",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            },
        ]

    run(scenario)


def test_a_new_node_is_not_ready(run):
    async def scenario(api):
        node = (await api.post("/api/v1/nodes", {"metadata": {"name": "n"}})).json
        assert node["spec"]["taints"] == [
            {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
        ]

    run(scenario)


def test_services_get_addresses_of_their_own(run):
    async def scenario(api):
        services = "/api/v1/namespaces/default/services"
        found = []
        for i in range(20):
            spec = {"ports": [{"port": 80}], "type": "NodePort"}
            answer = await api.post(services, {"metadata": {"name": f"s{i}"}, "spec": spec})
            found.append(answer.json["spec"])
        assert len({spec["clusterIP"] for spec in found}) == 20
        assert len({spec["ports"][0]["nodePort"] for spec in found}) == 20
        assert all(spec["clusterIPs"] == [spec["clusterIP"]] for spec in found)
        kept = await api.patch(f"{services}/s0", {"spec": {"clusterIP": None, "clusterIPs": None}})
        assert kept.json["spec"]["clusterIP"] == found[0]["clusterIP"]

    run(scenario)


INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"


def test_an_ingress_without_a_class_gets_the_default_one(run):
    async def scenario(api):
        ingress = {
            "metadata": {"name": "i"},
            "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}},
        }
        plain = await api.post(INGRESSES, ingress)
        assert "ingressClassName" not in plain.json["spec"]
        for name, default in (("a", "false"), ("b", "true"), ("c", "true")):
            metadata = {
                "name": name,
                "annotations": {"ingressclass.kubernetes.io/is-default-class": default},
            }
            body = {"metadata": metadata, "spec": {"controller": "x.io/y"}}
            assert (await api.post("/apis/networking.k8s.io/v1/ingressclasses", body)).code == 201
        ingress["metadata"]["name"] = "j"
        assert (await api.post(INGRESSES, ingress)).json["spec"]["ingressClassName"] == "b"
        ingress["metadata"] = {
            "name": "k",
            "annotations": {"kubernetes.io/ingress.class": "old"},
        }
        assert "ingressClassName" not in (await api.post(INGRESSES, ingress)).json["spec"]

    run(scenario)


CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"


def claim(size="1Gi", **spec):
    resources = {"requests": {"storage": size}}
    return {
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources, **spec},
    }


@pytest.mark.parametrize("expands", [True, False])
def test_a_claim_grows_only_if_its_class_says_so(run, expands):
    async def scenario(api):
        body = {
            "metadata": {"name": "fast"},
            "provisioner": "p.io/x",
            "allowVolumeExpansion": expands,
        }
        assert (await api.post("/apis/storage.k8s.io/v1/storageclasses", body)).code == 201
        answer = await api.post(CLAIMS, claim(storageClassName="fast", volumeName="v"))
        assert answer.code == 201, answer.body
        larger = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
        assert (await api.patch(f"{CLAIMS}/c", larger)).code == 422  # it is not bound yet
        await api.patch(f"{CLAIMS}/c/status", {"status": {"phase": "Bound"}})
        answer = await api.patch(f"{CLAIMS}/c", larger)
        if expands:
            assert answer.code == 200, answer.body
        else:
            assert answer.code == 403
            assert answer.message.endswith(
                "only dynamically provisioned pvc can be resized and the storageclass that "
                "provisions the pvc must support resize"
            )

    run(scenario)
