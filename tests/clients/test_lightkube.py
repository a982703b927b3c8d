"""lightkube: typed models over httpx, synchronous and asynchronous, server-side apply."""

from __future__ import annotations

import asyncio
import threading

import httpx2
import pytest
from lightkube import ALL_NS, ApiError, AsyncClient, Client, KubeConfig, codecs
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Node, Pod
from lightkube.types import PatchType, on_error_retry

from tests.clients.objects import deployment, pod
from tests.e2e.test_lifecycle import wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture
def api(kubeconfig, namespace):
    settings = KubeConfig.from_file(kubeconfig)
    with Client(settings, namespace=namespace, field_manager="tests") as api:
        yield api


def config_map(name, **data):
    return ConfigMap(metadata=ObjectMeta(name=name), data=data)


def test_an_object_goes_through_all_verbs(api):
    created = api.create(config_map("settings", size="1"))
    assert created.metadata.uid
    patched = api.patch(ConfigMap, "settings", {"data": {"colour": "red"}})
    assert patched.data == {"size": "1", "colour": "red"}
    patched.data = {"size": "2"}
    replaced = api.replace(patched)
    assert replaced == api.get(ConfigMap, "settings")
    api.delete(ConfigMap, "settings")
    with pytest.raises(ApiError, match='configmaps "settings" not found') as caught:
        api.get(ConfigMap, "settings")
    assert (caught.value.status.code, caught.value.status.reason) == (404, "NotFound")


@pytest.mark.parametrize("kind", [PatchType.MERGE, PatchType.STRATEGIC, PatchType.JSON])
def test_a_patch_of_each_kind_changes_the_object(api, kind):
    api.create(config_map("settings", size="1"))
    patch = {"data": {"size": "2"}}
    if kind is PatchType.JSON:
        patch = [{"op": "replace", "path": "/data/size", "value": "2"}]
    assert api.patch(ConfigMap, "settings", patch, patch_type=kind).data == {"size": "2"}


def test_lists_come_in_pages_over_all_namespaces(api):
    for number in range(5):
        api.create(config_map(f"page-{number}"))
    names = [item.metadata.name for item in api.list(ConfigMap, namespace=ALL_NS, chunk_size=2)]
    assert {f"page-{number}" for number in range(5)} <= set(names)
    assert len(names) == len(list(api.list(ConfigMap, namespace=ALL_NS)))


def test_apply_keeps_the_fields_of_others(api):
    def applied(**data):
        return ConfigMap(
            apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name="settings"), data=data
        )

    api.apply(applied(size="1"))
    api.apply(applied(colour="red"), field_manager="other")
    with pytest.raises(ApiError, match=r'conflict with "other": \.data\.colour'):
        api.apply(applied(size="2", colour="blue"))
    assert api.apply(applied(size="2")).data == {"size": "2", "colour": "red"}
    assert api.apply(applied()).data == {"colour": "red"}


def test_a_deployment_becomes_available_and_scales(api):
    api.create(codecs.from_dict(deployment("web", 1)))
    api.wait(Deployment, "web", for_conditions=["Available"])
    api.patch(Deployment.Scale, "web", {"spec": {"replicas": 2}})
    assert api.get(Deployment.Scale, "web").spec.replicas == 2
    api.wait(Deployment, "web", for_conditions=["Progressing"])
    assert len(list(api.list(Node))) == 2


def follow(api, version, seen):
    """Note events, and after a failed request those after the last version."""
    while "settings DELETED" not in seen:
        watching = api.watch(ConfigMap, resource_version=version, on_error=on_error_retry)
        try:
            for event, item in watching:
                version = item.metadata.resourceVersion
                seen.append(f"{item.metadata.name} {event}")
                if event == "DELETED":
                    break
        except (httpx2.ConnectError, httpx2.RemoteProtocolError):
            continue  # lightkube retries only once it has an answer


def test_a_watch_goes_on_where_it_was_after_the_server_restarted(api, restart):
    version = api.get(ConfigMap, "kube-root-ca.crt").metadata.resourceVersion
    seen = []
    following = threading.Thread(target=follow, args=(api, version, seen), daemon=True)
    following.start()
    api.create(config_map("settings", size="1"))
    wait_for(lambda: seen == ["settings ADDED"])
    restart()
    api.patch(ConfigMap, "settings", {"data": {"size": "2"}})
    api.delete(ConfigMap, "settings")
    following.join(timeout=20)
    assert seen == ["settings ADDED", "settings MODIFIED", "settings DELETED"]


def test_the_asynchronous_client_waits_for_a_pod_while_others_work(kubeconfig, namespace):
    async def run():
        api = AsyncClient(KubeConfig.from_file(kubeconfig), namespace=namespace)
        await api.create(Pod.from_dict(pod("web", app="web")))
        ready, found = await asyncio.gather(
            api.wait(Pod, "web", for_conditions=["Ready"]),
            api.get(Pod, "web"),
        )
        assert ready.status.podIP
        assert found.metadata.uid == ready.metadata.uid
        await api.delete(Pod, "web")
        await api.close()

    asyncio.run(run())
