"""Watches: every event once, in order, to whoever asked for it."""

import asyncio
import functools
import json
import math
from itertools import pairwise

from kubeberth.api.scheme import CONFIG_MAPS
from kubeberth.apiserver import watch
from kubeberth.apiserver.forms import Writer
from kubeberth.apiserver.media import Form
from kubeberth.apiserver.options import list_options
from kubeberth.apiserver.route import Query

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"


def name(event) -> tuple[str, str]:
    kind, found = event
    return kind, found["metadata"].get("name", "")


def test_changes_are_told_as_they_happen(run):
    async def scenario(api):
        start = api.store.revision
        async with api.watch(f"{MAPS}?watch=true&resourceVersion={start}") as event:
            created = (await api.config_map("c", a="1")).json
            assert await event() == ("ADDED", created)
            changed = (await api.patch(f"{MAPS}/c", {"data": {"a": "2"}})).json
            assert await event() == ("MODIFIED", changed)
            await api.delete(f"{MAPS}/c")
            kind, last = await event()
            assert (kind, last["data"]) == ("DELETED", {"a": "2"})
            assert last["metadata"]["resourceVersion"] == str(api.store.revision)

    run(scenario)


def test_a_watch_resumes_without_gap_or_repetition(run):
    async def scenario(api):
        start = api.store.revision
        for i in range(3):
            await api.config_map(f"c{i}")
        async with api.watch(f"{MAPS}?watch=1&resourceVersion={start + 1}") as event:
            await api.config_map("c3")
            told = [name(await event()) for _ in range(3)]
            assert told == [("ADDED", "c1"), ("ADDED", "c2"), ("ADDED", "c3")]

    run(scenario)


def test_without_a_version_the_state_comes_first(run):
    async def scenario(api):
        await api.config_map("old")
        async with api.watch(f"{MAPS}?watch=true") as event:
            assert name(await event()) == ("ADDED", "old")
            await api.config_map("new")
            assert name(await event()) == ("ADDED", "new")

    run(scenario)


def test_a_watch_list_ends_its_beginning_with_a_bookmark(run):
    async def scenario(api):
        await api.config_map("old")
        query = (
            "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
            "&allowWatchBookmarks=true"
        )
        async with api.watch(f"{MAPS}?{query}") as event:
            assert name(await event()) == ("ADDED", "old")
            kind, bookmark = await event()
            assert kind == "BOOKMARK"
            assert bookmark["metadata"] == {
                "resourceVersion": str(api.store.revision),
                "annotations": {"k8s.io/initial-events-end": "true"},
            }
            await api.config_map("new")
            assert name(await event()) == ("ADDED", "new")

    run(scenario)


def test_what_begins_or_ceases_to_match_is_added_or_deleted(run):
    async def scenario(api):
        start = api.store.revision
        query = f"watch=true&resourceVersion={start}&labelSelector=app%3Dweb"
        async with api.watch(f"{PODS}?{query}") as event:
            await api.pod("p")
            await api.patch(f"{PODS}/p", {"metadata": {"labels": {"app": "web"}}})
            assert name(await event()) == ("ADDED", "p")
            left = (await api.patch(f"{PODS}/p", {"metadata": {"labels": {"app": "db"}}})).json
            kind, last = await event()
            assert (kind, last["metadata"]["labels"]) == ("DELETED", {"app": "web"})
            version = left["metadata"]["resourceVersion"]
            assert last["metadata"]["resourceVersion"] == version

    run(scenario)


def test_a_kubelet_hears_of_the_pods_of_its_node_alone(run):
    async def scenario(api):
        query = f"watch=true&resourceVersion={api.store.revision}"
        async with api.watch(f"/api/v1/pods?{query}&fieldSelector=spec.nodeName%3Dn1") as event:
            await api.pod("other", nodeName="n2")
            await api.pod("later")
            binding = {"metadata": {"name": "later"}, "target": {"kind": "Node", "name": "n1"}}
            assert (await api.post(f"{PODS}/later/binding", binding)).code == 201
            assert name(await event()) == ("ADDED", "later")
            await api.delete(f"{PODS}/later", {"gracePeriodSeconds": 0})
            assert [name(await event()) for _ in range(2)] == [
                ("MODIFIED", "later"),
                ("DELETED", "later"),
            ]

    run(scenario)


def test_a_forgotten_version_is_an_error_event(run):
    async def scenario(api):
        await api.config_map("c")
        await api.store.compact(api.store.revision)
        async with api.watch(f"{MAPS}?watch=true&resourceVersion=1") as event:
            kind, status = await event()
            assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
            assert await event() is None

    run(scenario)


def test_a_slow_watcher_is_dropped_and_nobody_else(run, monkeypatch):
    monkeypatch.setattr(watch, "QUEUE_LIMIT", 3)

    async def scenario(api):
        path = f"{MAPS}?watch=true&resourceVersion={api.store.revision}"
        async with api.watch(path) as quick:
            query = Query(f"resourceVersion={api.store.revision}")
            wanted = list_options(query, CONFIG_MAPS, watch=True)
            writer = Writer(CONFIG_MAPS, Form(), lambda: 0.0)
            slow = api.app.hub.open("configmaps/", wanted, writer)  # nobody reads it
            for i in range(5):
                await api.config_map(f"c{i}")
                assert name(await quick()) == ("ADDED", f"c{i}")
            assert b'"reason":"Expired"' in slow.take()
            assert slow.take() is None

    run(scenario)


def test_a_watch_ends_when_its_time_is_over(run):
    async def scenario(api):
        path = f"{MAPS}?watch=true&timeoutSeconds=0&resourceVersion={api.store.revision}"
        async with api.watch(path) as event:
            assert await event() is None

    run(scenario)


def test_watches_end_when_the_server_stops(run):
    async def scenario(api):
        path = f"{MAPS}?watch=true&resourceVersion={api.store.revision}"
        async with api.watch(path) as event:
            waiting = asyncio.ensure_future(event())
            await asyncio.sleep(0)
            api.app.close()
            assert await asyncio.wait_for(waiting, 5) is None
        assert (await api.get("/readyz", user=None)).code == 500

    run(scenario)


def test_a_client_that_goes_away_is_forgotten(run):
    async def scenario(api):
        async with api.watch(f"{MAPS}?watch=true&resourceVersion={api.store.revision}"):
            assert len(api.app.hub._watchers["configmaps"]) == 1
        assert not api.app.hub._watchers["configmaps"]

    run(scenario)


def test_tables_describe_their_columns_once(run):
    async def scenario(api):
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        path = f"{MAPS}?watch=true&resourceVersion={api.store.revision}"
        async with api.watch(path, accept=accept) as event:
            await api.config_map("a")
            await api.config_map("b")
            _, first = await event()
            _, second = await event()
            assert first["columnDefinitions"][0]["name"] == "Name"
            assert second["columnDefinitions"] is None
            assert second["rows"][0]["cells"][0] == "b"

    run(scenario)


def test_bookmarks_come_every_minute_and_before_the_end():
    times = [watch.next_bookmark(begun, 150.0) for begun in (0.0, 60.0, 120.0, 148.0)]
    assert times == [60.0, 120.0, 148.0, math.inf]
    assert watch.next_bookmark(0.0, 1.0) == math.inf


def test_a_crowd_sends_a_few_per_turn_of_the_loop_first_come_first_served(run):
    async def scenario(api):
        crowd = [await api.open("GET", f"{MAPS}?watch=true") for _ in range(99)]
        sent, seen = [], []
        for number, answer in enumerate(crowd):
            answer.source.begin(functools.partial(sent.append, number))
        crowd[50].source.close()  # who leaves takes nobody's turn
        await api.config_map("c")
        while len(sent) < 98:
            seen.append(len(sent))
            await asyncio.sleep(0)  # what a request needs to be handled
        assert sorted(sent) == [*range(50), *range(51, 99)]
        assert max(b - a for a, b in pairwise([*seen, 98])) == watch.SENDERS_PER_TURN
        assert len({crowd[number].source.take() for number in sent}) == 1

    run(scenario)


def test_what_happens_before_a_watchers_turn_goes_out_in_one_chunk(run):
    async def scenario(api):
        answer = await api.open("GET", f"{MAPS}?watch=true&resourceVersion={api.store.revision}")
        woken = []
        answer.source.begin(lambda: woken.append(answer.source.take()))
        await asyncio.gather(*(api.config_map(one) for one in "abc"))
        await asyncio.sleep(0)
        names = [
            json.loads(line)["object"]["metadata"]["name"]
            for chunk in woken
            for line in chunk.splitlines()
        ]
        assert names == ["a", "b", "c"]
        answer.source.close()

    run(scenario)


def test_who_has_sent_rests_and_sends_in_one_chunk_what_happens_meanwhile(run, monkeypatch):
    monkeypatch.setattr(watch, "REST_S", 0.5)

    async def scenario(api):
        answer = await api.open("GET", f"{MAPS}?watch=true&resourceVersion={api.store.revision}")
        chunks = asyncio.Queue()
        answer.source.begin(lambda: chunks.put_nowait(answer.source.take()))
        await api.config_map("a")
        assert len((await chunks.get()).splitlines()) == 1
        await api.config_map("b")
        await api.config_map("c")
        assert len((await chunks.get()).splitlines()) == 2
        answer.source.close()

    run(scenario)


def test_a_watch_may_be_asked_for_longer_than_anybody_lives(run):
    async def scenario(api):
        query = "watch=true&allowWatchBookmarks=true&timeoutSeconds=999999999999"
        async with api.watch(f"{MAPS}?{query}") as event:
            await api.config_map("c")
            assert name(await event()) == ("ADDED", "c")

    run(scenario)
