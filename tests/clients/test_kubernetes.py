"""The official Python client, `kubernetes`: models, watches, the dynamic client, an informer."""

from __future__ import annotations

import threading

import pytest
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.informer import SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock
from urllib3.exceptions import HTTPError

from tests.clients.objects import deployment, pod
from tests.e2e.test_lifecycle import wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture
def api(kubeconfig):
    config.load_kube_config(kubeconfig)
    with client.ApiClient() as api:
        yield api


@pytest.fixture
def core(api):
    return client.CoreV1Api(api)


@pytest.fixture
def apps(api):
    return client.AppsV1Api(api)


def config_map(name, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data=data)


def test_an_object_goes_through_all_verbs(core, namespace):
    created = core.create_namespaced_config_map(namespace, config_map("settings", size="1"))
    assert created.metadata.uid
    assert created.metadata.creation_timestamp.tzinfo is not None
    patched = core.patch_namespaced_config_map("settings", namespace, {"data": {"colour": "red"}})
    assert patched.data == {"size": "1", "colour": "red"}
    patched.data = {"size": "2"}
    replaced = core.replace_namespaced_config_map("settings", namespace, patched)
    assert replaced == core.read_namespaced_config_map("settings", namespace)
    assert replaced.data == {"size": "2"}
    deleted = core.delete_namespaced_config_map("settings", namespace)
    assert (deleted["status"], deleted["details"]["uid"]) == ("Success", created.metadata.uid)
    with pytest.raises(ApiException, match='configmaps \\\\"settings\\\\" not found') as caught:
        core.read_namespaced_config_map("settings", namespace)
    assert (caught.value.status, caught.value.reason) == (404, "Not Found")


def test_a_replacement_of_an_old_version_is_a_conflict(core, namespace):
    old = core.create_namespaced_config_map(namespace, config_map("settings", size="1"))
    core.patch_namespaced_config_map("settings", namespace, {"data": {"size": "2"}})
    with pytest.raises(ApiException, match="the object has been modified") as caught:
        core.replace_namespaced_config_map("settings", namespace, old)
    assert caught.value.status == 409


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param({"data": {"size": "2"}}, id="strategic merge"),
        pytest.param([{"op": "replace", "path": "/data/size", "value": "2"}], id="JSON"),
    ],
)
def test_the_client_chooses_the_kind_of_patch_by_the_body(core, namespace, patch):
    core.create_namespaced_config_map(namespace, config_map("settings", size="1"))
    assert core.patch_namespaced_config_map("settings", namespace, patch).data == {"size": "2"}


def test_a_long_list_comes_in_pages(core, namespace):
    for number in range(5):
        core.create_namespaced_config_map(namespace, config_map(f"page-{number}"))
    names, token, counts = [], None, []
    while token != "":
        page = core.list_namespaced_config_map(
            namespace, limit=2, _continue=token, field_selector="metadata.name!=kube-root-ca.crt"
        )
        names += [item.metadata.name for item in page.items]
        counts.append(len(page.items))
        token = page.metadata._continue or ""
    assert names == [f"page-{number}" for number in range(5)]
    assert counts == [2, 2, 1]


def test_a_deployment_is_scaled_and_its_pods_are_evicted(api, core, apps, namespace):
    utils.create_from_dict(api, deployment("web", 2), namespace=namespace)

    def ready():
        status = apps.read_namespaced_deployment_status("web", namespace).status
        return status.ready_replicas or 0

    wait_for(lambda: ready() == 2)
    scale = apps.read_namespaced_deployment_scale("web", namespace)
    assert (scale.spec.replicas, scale.status.selector) == (2, "app=web")
    scale.spec.replicas = 1
    apps.replace_namespaced_deployment_scale("web", namespace, scale)
    wait_for(lambda: len(core.list_namespaced_pod(namespace).items) == 1)
    [left] = core.list_namespaced_pod(namespace, label_selector="app=web").items
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=left.metadata.name))
    core.create_namespaced_pod_eviction(left.metadata.name, namespace, eviction)

    def names():
        return [item.metadata.name for item in core.list_namespaced_pod(namespace).items]

    wait_for(lambda: left.metadata.name not in names() and ready() == 1)


def test_a_node_is_cordoned_and_its_status_cannot_be_changed_along(core):
    core.patch_node("node-2", {"spec": {"unschedulable": True}, "status": {"capacity": None}})
    node = core.read_node("node-2")
    assert node.spec.unschedulable
    assert node.status.capacity["cpu"]
    core.patch_node("node-2", {"spec": {"unschedulable": None}})


def follow(core, namespace, version, seen):
    """Note events, and after a broken connection those after the last version."""
    while "settings DELETED" not in seen:
        watcher = watch.Watch()
        try:
            for event in watcher.stream(
                core.list_namespaced_config_map, namespace, resource_version=version
            ):
                metadata = event["object"].metadata
                version = metadata.resource_version
                seen.append(f"{metadata.name} {event['type']}")
                if seen[-1] == "settings DELETED":
                    break
        except HTTPError:
            continue


def test_a_watch_goes_on_where_it_was_after_the_server_restarted(core, namespace, restart):
    version = core.list_namespaced_config_map(namespace).metadata.resource_version
    seen = []
    following = threading.Thread(target=follow, args=(core, namespace, version, seen), daemon=True)
    following.start()
    core.create_namespaced_config_map(namespace, config_map("settings", size="1"))
    wait_for(lambda: seen == ["settings ADDED"])
    restart()
    core.patch_namespaced_config_map("settings", namespace, {"data": {"size": "2"}})
    core.delete_namespaced_config_map("settings", namespace)
    following.join(timeout=20)
    assert seen == ["settings ADDED", "settings MODIFIED", "settings DELETED"]


def test_an_informer_keeps_a_copy(core, namespace):
    informer = SharedInformer(core.list_namespaced_config_map, namespace=namespace)
    informer.start()
    try:
        core.create_namespaced_config_map(namespace, config_map("settings", size="1"))

        def copy():
            return informer.cache.get_by_key(f"{namespace}/settings")

        wait_for(lambda: copy() is not None)
        core.patch_namespaced_config_map("settings", namespace, {"data": {"size": "2"}})
        wait_for(lambda: copy().data == {"size": "2"})
        core.delete_namespaced_config_map("settings", namespace)
        wait_for(lambda: copy() is None)
    finally:
        informer.stop()


def candidate(namespace, identity, on_started):
    return leaderelection.LeaderElection(
        electionconfig.Config(
            LeaseLock("election", namespace, identity),
            lease_duration=17,
            renew_deadline=15,
            retry_period=5,
            onstarted_leading=on_started,
            onstopped_leading=None,
        )
    )


def test_one_of_two_candidates_leads_and_the_other_waits(api, namespace):
    first = candidate(namespace, "first", print)
    assert first.try_acquire_or_renew()
    assert not candidate(namespace, "second", print).try_acquire_or_renew()
    assert first.try_acquire_or_renew()
    lease = client.CoordinationV1Api(api).read_namespaced_lease("election", namespace)
    assert lease.spec.holder_identity == "first"


def test_the_dynamic_client_finds_resources_by_discovery(api, namespace):
    pods = dynamic.DynamicClient(api).resources.get(api_version="v1", kind="Pod")
    created = pods.create(body=pod("web", app="web"), namespace=namespace)
    assert created.spec.schedulerName == "default-scheduler"
    wait_for(lambda: pods.get(name="web", namespace=namespace).status.phase == "Running")
    found = pods.get(namespace=namespace, label_selector="app=web")
    assert [item.metadata.name for item in found.items] == ["web"]


def test_the_dynamic_client_applies_on_the_server(api, namespace):
    maps = dynamic.DynamicClient(api).resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    maps.server_side_apply(
        body={**body, "data": {"size": "1"}}, namespace=namespace, field_manager="first"
    )
    with pytest.raises(dynamic.exceptions.ConflictError, match="conflict with"):
        maps.server_side_apply(
            body={**body, "data": {"size": "2"}}, namespace=namespace, field_manager="second"
        )
    taken = maps.server_side_apply(
        body={**body, "data": {"size": "2"}},
        namespace=namespace,
        field_manager="second",
        force_conflicts=True,
    )
    assert taken.data.to_dict() == {"size": "2"}
    assert [entry.manager for entry in taken.metadata.managedFields] == ["second"]


def test_a_forbidden_request_says_who_may_not_do_what(core, namespace):
    core.api_client.set_default_header("Impersonate-User", "eve")
    with pytest.raises(ApiException) as caught:
        core.list_namespaced_secret(namespace)
    assert caught.value.status == 403
    assert (
        'secrets is forbidden: User \\"eve\\" cannot list resource \\"secrets\\" in API group '
        f'\\"\\" in the namespace \\"{namespace}\\"'
    ) in caught.value.body
