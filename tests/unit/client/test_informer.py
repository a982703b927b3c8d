import asyncio
import contextlib

import msgspec
from tests.unit.client.scripted_server import Script, event, refuses, says, serving, streams

from kubeberth.api.meta import ObjectMeta
from kubeberth.api.scheme import PODS
from kubeberth.client.informer import Informer


class Thing(msgspec.Struct):
    """As little of an object as a test needs."""

    metadata: ObjectMeta
    color: str


def thing(name, version, color="red"):
    metadata = {"name": name, "namespace": "team", "resourceVersion": str(version)}
    return {"metadata": metadata, "color": color}


def listed(version, *items, more=""):
    metadata = {"resourceVersion": str(version), "continue": more}
    return says({"metadata": metadata, "items": list(items)})


EXPIRED = {"kind": "Status", "reason": "Expired", "code": 410}


def follow(*answers, until):
    """Run an informer until it has told so many changes; return them, the store, the requests."""

    async def scenario():
        script = Script(*answers)
        told = []
        enough = asyncio.Event()

        def note(change):
            told.append((change.kind, change.key, change.new and change.new.color))
            if len(told) == until:
                enough.set()

        async with serving(script) as client:
            informer = Informer(client, PODS, msgspec.json.Decoder(Thing).decode)
            informer.subscribe(note)
            running = asyncio.create_task(informer.run())
            await asyncio.wait_for(enough.wait(), 10)
            # The next request tells where the informer thinks it is.
            wanted = len(answers) + 1
            while len(script.requests) < wanted:
                await asyncio.sleep(0.005)
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
        return told, informer.store, script.requests

    return asyncio.run(asyncio.wait_for(scenario(), 20))


def test_what_is_listed_and_what_is_watched_is_told_in_order():
    told, store, requests = follow(
        listed(5, thing("a", 3)),
        streams(
            event("ADDED", thing("b", 6)),
            event("MODIFIED", thing("a", 7, "blue")),
            event("DELETED", thing("b", 8)),
        ),
        until=4,
    )
    assert told == [
        ("added", "team/a", "red"),
        ("added", "team/b", "red"),
        ("modified", "team/a", "blue"),
        ("deleted", "team/b", None),
    ]
    assert {key: item.color for key, item in store.items()} == {"team/a": "blue"}
    assert [r.query.get("resourceVersion") for r in requests] == [None, "5", "8"]


def test_a_bookmark_moves_the_version_and_nothing_else():
    bookmark = {"metadata": {"resourceVersion": "90"}}
    told, _, requests = follow(
        listed(5, thing("a", 3)), streams(event("BOOKMARK", bookmark)), until=1
    )
    assert told == [("added", "team/a", "red")]
    assert requests[-1].query["resourceVersion"] == "90"


def test_a_watch_that_fails_goes_on_where_it_was():
    _, _, requests = follow(
        listed(5, thing("a", 3)),
        streams(event("ADDED", thing("b", 6))),
        refuses(500, "InternalError"),
        until=2,
    )
    assert [r.query.get("resourceVersion") for r in requests] == [None, "5", "6", "6"]


def test_an_expired_watch_lists_again_and_tells_only_differences():
    told, store, _ = follow(
        listed(5, thing("same", 1), thing("changes", 2), thing("goes", 3)),
        streams(event("ERROR", EXPIRED)),
        listed(9, thing("same", 1), thing("changes", 8, "blue"), thing("comes", 9)),
        until=6,
    )
    assert told[3:] == [
        ("modified", "team/changes", "blue"),
        ("added", "team/comes", "red"),
        ("deleted", "team/goes", None),
    ]
    assert store.keys() == {"team/same", "team/changes", "team/comes"}


def test_a_large_list_comes_page_by_page_and_what_is_on_no_page_is_gone():
    told, store, requests = follow(
        listed(5, thing("a", 1), thing("b", 2), more="rest"),
        listed(5, thing("c", 3)),
        streams(event("ERROR", EXPIRED)),
        listed(9, thing("a", 1), more="rest"),
        listed(9, thing("c", 3)),
        until=4,
    )
    assert told[3:] == [("deleted", "team/b", None)]
    assert store.keys() == {"team/a", "team/c"}
    assert [r.query.get("continue") for r in requests] == [None, "rest", None, None, "rest", None]
    assert requests[-1].query["resourceVersion"] == "9"


def test_an_object_that_nobody_can_read_hides_no_other():
    told, store, _ = follow(listed(5, {**thing("odd", 2), "color": 7}, thing("fine", 3)), until=1)
    assert told == [("added", "team/fine", "red")]
    assert store.keys() == {"team/fine"}


def test_a_late_subscriber_hears_first_of_what_is_there():
    async def scenario():
        async with serving(Script(listed(5, thing("a", 3)))) as client:
            informer = Informer(client, PODS, msgspec.json.Decoder(Thing).decode)
            running = asyncio.create_task(informer.run())
            await asyncio.wait_for(informer.synced.wait(), 10)
            told = []
            informer.subscribe(lambda change: told.append((change.kind, change.key)))
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
        return told

    assert asyncio.run(scenario()) == [("added", "team/a")]
