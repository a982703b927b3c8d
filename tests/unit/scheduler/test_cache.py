from __future__ import annotations

import msgspec
import pytest
from tests.unit.placement.builders import make_node, make_pod

from kubeberth.api.core import Pod
from kubeberth.api.meta import ObjectMeta
from kubeberth.api.storage import (
    PersistentVolume,
    PersistentVolumeSpec,
    PersistentVolumeStatus,
)
from kubeberth.placement.reservation import BindClaim
from kubeberth.scheduler.cache import Cache, occupies_node


def cache_with(*names: str) -> Cache:
    cache = Cache()
    for name in names:
        cache.put(make_node(name))
    return cache


def bound(pod: Pod, node: str) -> Pod:
    spec = msgspec.structs.replace(pod.spec, node_name=node)
    return msgspec.structs.replace(pod, spec=spec)


def test_assumed_pod_counts_until_it_is_forgotten() -> None:
    cache, pod = cache_with("a"), make_pod("web")
    cache.assume(pod, "a")
    assert cache.state.node_of("default/web") == "a"
    assert cache.forget(pod)
    assert cache.state.node_of("default/web") is None


def test_confirmed_pod_is_not_forgotten() -> None:
    cache, pod = cache_with("a"), make_pod("web")
    cache.assume(pod, "a")
    cache.put_pod(bound(pod, "a"))
    assert not cache.is_assumed("default/web")
    assert not cache.forget(pod)
    assert cache.state.node_of("default/web") == "a"


def test_watch_is_right_when_it_shows_another_node() -> None:
    cache, pod = cache_with("a", "b"), make_pod("web")
    cache.assume(pod, "a")
    cache.put_pod(bound(pod, "b"))
    assert cache.state.node_of("default/web") == "b"
    assert [placed.key for placed in cache.state.pods_on("a")] == []


def test_failure_of_an_older_pod_of_the_name_does_not_touch_the_new_one() -> None:
    cache, pod = cache_with("a"), make_pod("web")
    cache.assume(pod, "a")
    older = msgspec.structs.replace(
        pod, metadata=msgspec.structs.replace(pod.metadata, uid="older")
    )
    assert not cache.forget(older)
    assert cache.state.node_of("default/web") == "a"


def test_ended_pods_occupy_nothing() -> None:
    pod = bound(make_pod("job"), "a")
    ended = msgspec.structs.replace(
        pod, status=msgspec.structs.replace(pod.status, phase="Succeeded")
    )
    assert occupies_node(pod)
    assert not occupies_node(ended)
    assert not occupies_node(make_pod("pending"))


def test_promise_of_an_assumed_pod_is_taken_back_with_it() -> None:
    cache, pod = cache_with("a"), make_pod("web")
    volume = PersistentVolume(
        metadata=ObjectMeta(name="v"),
        spec=PersistentVolumeSpec(storage_class_name="local", capacity={"storage": "1Gi"}),
        status=PersistentVolumeStatus(phase="Available"),
    )
    cache.put(volume)
    cache.assume(pod, "a", (BindClaim("default/data", "v"),))
    assert list(cache.state.storage.free("local").all(0)) == []
    assert cache.forget(pod)
    assert [free.volume for free in cache.state.storage.free("local").all(0)] == [volume]
    cache.remove(PersistentVolume, "v")
    assert list(cache.state.storage.free("local").all(0)) == []


def test_pod_is_assumed_only_where_there_is_a_node() -> None:
    with pytest.raises(KeyError, match="no node b"):
        cache_with("a").assume(make_pod("web"), "b")


@pytest.mark.parametrize(
    ("requests", "is_overcommitted"),
    [({}, False), ({"cpu": "2"}, False), ({"cpu": "3"}, True), ({"example.com/gpu": "1"}, True)],
)
def test_a_node_is_overcommitted_when_its_pods_take_more_than_it_has(
    requests: dict[str, str], is_overcommitted: bool
) -> None:
    cache = cache_with("a")
    for name in ("one", "two"):
        cache.put_pod(bound(make_pod(name, requests=requests), "a"))
    assert cache.is_overcommitted("a") == is_overcommitted
