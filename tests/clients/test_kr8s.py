"""kr8s: objects that act like kubectl, and an asynchronous twin of everything."""

from __future__ import annotations

import asyncio

import httpx
import kr8s
import kr8s.asyncio
import pytest
from kr8s.objects import ConfigMap, Deployment, Node, Pod

from tests.clients.objects import deployment, pod
from tests.e2e.test_lifecycle import wait_for

pytestmark = [
    pytest.mark.e2e,
    # kr8s warns of every version of Kubernetes that came out after itself.
    pytest.mark.filterwarnings("ignore:Kubernetes version .* is not supported:UserWarning"),
]


@pytest.fixture
def api(kubeconfig, namespace):
    return kr8s.api(kubeconfig=kubeconfig, namespace=namespace)


def config_map(api, name, **data):
    return ConfigMap({"metadata": {"name": name}, "data": data}, api=api)


def test_an_object_goes_through_all_verbs(api):
    settings = config_map(api, "settings", size="1")
    settings.create()
    assert settings.exists()
    settings.patch({"data": {"colour": "red"}})
    settings.label(tier="back")
    settings.annotate(note="checked")
    assert settings.labels == {"tier": "back"}
    [found] = api.get("configmaps", label_selector={"tier": "back"})
    assert found.raw == settings.raw
    assert found.data == {"size": "1", "colour": "red"}
    settings.delete()
    assert not settings.exists()
    with pytest.raises(kr8s.NotFoundError):
        settings.refresh()


def test_a_patch_that_breaks_the_rules_is_told_in_the_words_of_the_server(api):
    settings = config_map(api, "settings", size="1")
    settings.create()
    with pytest.raises(kr8s.ServerError, match="a valid config key must consist of"):
        settings.patch({"data": {"a/b": "1"}})


def test_a_pod_is_waited_for_until_it_is_ready_and_until_it_is_gone(api):
    web = Pod(pod("web", app="web"), api=api)
    web.create()
    web.wait("condition=Ready", timeout=20)
    assert web.ready()
    web.delete()
    web.wait("delete", timeout=20)
    assert not web.exists()


def test_a_deployment_scales_and_knows_its_pods(api):
    web = Deployment(deployment("web", 1), api=api)
    web.create()
    web.wait("condition=Available", timeout=20)
    web.scale(3)
    wait_for(lambda: len(web.pods()) == 3)
    web.delete()


def test_a_node_is_cordoned_and_uncordoned(api):
    node = Node.get("node-2", api=api)
    node.cordon()
    assert node.unschedulable
    node.uncordon()
    assert not node.unschedulable


def test_kinds_are_found_by_short_name_and_by_group(api):
    for what in ("cm", "configmaps", "ConfigMap", "configmap/v1"):
        assert [found.name for found in api.get(what)] == ["kube-root-ca.crt"]
    assert list(api.get("deployments.apps")) == []


async def follow(api, version, seen):
    """Note events, and after a broken connection those after the last version."""
    while "settings DELETED" not in seen:
        try:
            async for event, found in api.watch("configmaps", since=version):
                version = found.metadata.resourceVersion
                seen.append(f"{found.name} {event}")
                if event == "DELETED":
                    break
        except (httpx.TransportError, kr8s.ConnectionClosedError):
            await asyncio.sleep(0.05)


def test_a_watch_goes_on_where_it_was_after_the_server_restarted(kubeconfig, namespace, restart):
    async def run():
        api = await kr8s.asyncio.api(kubeconfig=kubeconfig, namespace=namespace)
        [first] = [found async for found in api.get("configmaps")]
        seen = []
        following = asyncio.create_task(follow(api, first.metadata.resourceVersion, seen))
        settings = await kr8s.asyncio.objects.ConfigMap(
            {"metadata": {"name": "settings"}, "data": {"size": "1"}}, api=api
        )
        await settings.create()
        while not seen:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(restart)
        await settings.patch({"data": {"size": "2"}})
        await settings.delete()
        await asyncio.wait_for(following, 20)
        return seen

    assert asyncio.run(run()) == ["settings ADDED", "settings MODIFIED", "settings DELETED"]
