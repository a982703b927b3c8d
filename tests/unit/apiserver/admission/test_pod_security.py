"""Namespaces that say how safe their pods must be."""

import pytest

from kubeberth.apiserver.admission_selection import AdmissionSettings
from kubeberth.apiserver.app import App, AppSettings
from kubeberth.apiserver.storage.memory import MemoryStore
from kubeberth.clock import SystemClock
from kubeberth.errors import UsageError

PODS = "/api/v1/namespaces/{}/pods"
PREFIX = "pod-security.kubernetes.io/"
PRIVILEGED = {
    "containers": [{"name": "c", "image": "i:1", "securityContext": {"privileged": True}}]
}
WHY = 'privileged (container "c" must not set securityContext.privileged=true)'


async def namespace(api, name, **labels):
    labelled = {PREFIX + key.replace("_", "-"): value for key, value in labels.items()}
    answer = await api.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labelled}})
    account = {"metadata": {"name": "default"}, "automountServiceAccountToken": False}
    await api.post(f"/api/v1/namespaces/{name}/serviceaccounts", account)
    return answer


def pod(name="p", **spec):
    return {"metadata": {"name": name}, "spec": {**PRIVILEGED, **spec}}


def test_a_namespace_without_labels_takes_every_pod(run):
    async def scenario(api):
        await namespace(api, "a")
        answer = await api.post(PODS.format("a"), pod())
        assert (answer.code, answer.headers.get("warning")) == (201, None)

    run(scenario)


def test_a_namespace_refuses_pods_that_are_not_as_safe_as_it_enforces(run):
    async def scenario(api):
        await namespace(api, "a", enforce="baseline", enforce_version="v1.30")
        answer = await api.post(PODS.format("a"), pod())
        assert answer.code == 403
        assert answer.message == (
            f'pods "p" is forbidden: violates PodSecurity "baseline:v1.30": {WHY}'
        )
        plain = {"containers": [{"name": "c", "image": "i:1"}]}
        assert (await api.post(PODS.format("a"), pod(**plain))).code == 201

    run(scenario)


def test_who_writes_what_pods_are_made_from_is_warned(run):
    async def scenario(api):
        await namespace(api, "a", enforce="baseline")
        template = {"metadata": {"labels": {"app": "a"}}, "spec": PRIVILEGED}
        body = {
            "metadata": {"name": "d"},
            "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template},
        }
        path = "/apis/apps/v1/namespaces/a/deployments"
        answer = await api.post(path, body)
        assert answer.code == 201
        assert answer.warnings == [f'would violate PodSecurity "baseline:latest": {WHY}']
        job = {"metadata": {"name": "j"}, "spec": {"schedule": "* * * * *", "jobTemplate": {}}}
        job["spec"]["jobTemplate"] = {
            "spec": {"template": {"spec": {**PRIVILEGED, "restartPolicy": "Never"}}}
        }
        answer = await api.post("/apis/batch/v1/namespaces/a/cronjobs", job)
        assert answer.warnings == [f'would violate PodSecurity "baseline:latest": {WHY}']

    run(scenario)


def test_a_namespace_may_warn_alone(run):
    async def scenario(api):
        await namespace(api, "a", warn="baseline", audit="restricted")
        answer = await api.post(PODS.format("a"), pod())
        assert answer.code == 201
        assert answer.warnings == [f'would violate PodSecurity "baseline:latest": {WHY}']

    run(scenario)


def test_a_pod_is_looked_at_again_when_its_image_changes(run):
    async def scenario(api):
        await namespace(api, "a")
        await api.post(PODS.format("a"), pod())
        labels = {"metadata": {"labels": {PREFIX + "enforce": "baseline"}}}
        answer = await api.patch("/api/v1/namespaces/a", labels)
        assert answer.warnings == [
            'existing pods in namespace "a" violate the new PodSecurity enforce level '
            '"baseline:latest"',
            "p: privileged",
        ]
        path = f"{PODS.format('a')}/p"
        assert (await api.patch(path, {"metadata": {"labels": {"a": "b"}}})).code == 200
        change = {"spec": {"containers": [{"name": "c", "image": "i:2"}]}}
        answer = await api.patch(path, change, kind="strategic-merge-patch+json")
        assert answer.code == 403
        relaxed = {"metadata": {"labels": {PREFIX + "enforce": "privileged"}}}
        answer = await api.patch("/api/v1/namespaces/a", relaxed)
        assert "warning" not in answer.headers

    run(scenario)


def test_labels_that_make_no_sense_are_refused(run):
    async def scenario(api):
        answer = await namespace(api, "a", enforce="safe", warn_version="1.30")
        assert answer.code == 422
        assert answer.message == (
            f'Namespace "a" is invalid: [metadata.labels[{PREFIX}enforce]: Invalid value: "safe": '
            "must be one of privileged, baseline, restricted, "
            f'metadata.labels[{PREFIX}warn-version]: Invalid value: "1.30": '
            'must be "latest" or "v1.x"]'
        )

    run(scenario)


def test_the_server_may_be_told_what_all_demand_and_who_is_exempt(run):
    told = {
        "defaults": {"enforce": "restricted"},
        "exemptions": {
            "namespaces": ["default"],
            "usernames": ["robot"],
            "runtimeClasses": ["vm"],
        },
    }

    async def scenario(api):
        assert (await api.post(PODS.format("default"), pod())).code == 201
        await namespace(api, "a")
        answer = await api.post(PODS.format("a"), pod())
        assert 'violates PodSecurity "restricted:latest"' in answer.message
        body = {"metadata": {"name": "vm"}, "handler": "vm"}
        await api.post("/apis/node.k8s.io/v1/runtimeclasses", body)
        assert (await api.post(PODS.format("a"), pod(runtimeClassName="vm"))).code == 201

    run(scenario, admission=AdmissionSettings(configuration={"PodSecurity": told}))


def test_a_default_that_makes_no_sense_is_refused():
    told = {"PodSecurity": {"defaults": {"enforce": "safe"}}}
    settings = AppSettings(admission=AdmissionSettings(configuration=told))
    with pytest.raises(UsageError, match="must be one of privileged, baseline, restricted"):
        App(MemoryStore(), SystemClock(), settings)
