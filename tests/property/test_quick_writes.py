"""Quick ways through a write give what the plain way gives, but for the order of keys."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
from typing import Any

import msgspec
import pytest
from benchmarks.fuzz_api import SPECS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.apiserver.conftest import Api
from tests.world import ManualClock

from kubeberth.apiserver import patch, registry, strategy
from kubeberth.apiserver.objects import Wire

GROUPS = {
    "daemonsets": "/apis/apps/v1/namespaces/default",
    "deployments": "/apis/apps/v1/namespaces/default",
    "jobs": "/apis/batch/v1/namespaces/default",
    "leases": "/apis/coordination.k8s.io/v1/namespaces/default",
    "nodes": "/api/v1",
    "pods": "/api/v1/namespaces/default",
    "poddisruptionbudgets": "/apis/policy/v1/namespaces/default",
    "resourceclaims": "/apis/resource.k8s.io/v1/namespaces/default",
    "services": "/api/v1/namespaces/default",
}
STRANGE = (None, 1, 1.5, "1", "true", True, [], {}, [{}], {"a": "b"}, "Running", "nginx:2")
CONDITIONS = [
    {"type": type_, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    for type_ in ("Ready", "PodScheduled", "Initialized")
]
STATUS = {"phase": "Running", "conditions": CONDITIONS, "podIP": "10.0.0.1", "startTime": None}
KINDS = ("merge-patch+json", "strategic-merge-patch+json")


def unowned(document: dict[str, Any]) -> bytes:
    metadata = document.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
    return msgspec.json.encode(document)


# How a replacement is written.
FORMS = {
    "as it is stored": msgspec.json.encode,
    "with spaces": lambda document: json.dumps(document).encode(),
    "without owners": unowned,
    "with a part twice": lambda document: msgspec.json.encode(document)[:-1] + b',"spec":{}}',
}


def ordered(text: bytes) -> str:
    """Return a JSON text with its keys sorted: a part that stays the same keeps its order."""
    return json.dumps(json.loads(text), sort_keys=True)


def places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    for key, item in sorted(value.items()) if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


@st.composite
def edits(draw: Any) -> tuple[Any, ...]:
    """What a client does to an object: where of so many places, what, and in which form."""
    return (
        draw(st.integers(0, 10_000)),
        draw(st.sampled_from(STRANGE)),
        draw(st.sampled_from((*FORMS, *KINDS, "status"))),
        draw(st.sampled_from(("", "/status"))),
        draw(st.sampled_from(("one", "two"))),
    )


def edited(found: dict[str, Any], number: int, value: Any) -> tuple[dict[str, Any], Any]:
    """Return an object with another value in one place, and the same as a patch."""
    document = copy.deepcopy(found)
    paths = list(places(document))
    path = paths[number % len(paths)]
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    names = list(itertools.takewhile(lambda key: isinstance(key, str), path))
    changed: Any = document
    for name in names:
        changed = changed[name]
    for name in reversed(names):
        changed = {name: changed}
    return document, changed


async def written(api: Api, plural: str, todo: list[tuple[Any, ...]]) -> list[Any]:
    """Do to an object what there is to do, and return all that was answered and is stored."""
    path = f"{GROUPS[plural]}/{plural}"
    made = await api.post(path, {"metadata": {"name": "a"}, **SPECS[plural]})
    assert made.code == 201, made.body
    told: list[Any] = []
    for number, value, how, sub, manager in todo:
        found = (await api.get(f"{path}/a")).json
        where = f"{path}/a{sub}?fieldManager={manager}&fieldValidation=Warn"
        document, changed = edited(found, number, value)
        if how == "status":
            answer = await api.patch(where, {"status": STATUS}, KINDS[number % 2])
        elif how in KINDS:
            answer = await api.patch(where, changed, how)
        else:
            answer = await api.put(where, FORMS[how](document))
        told.append((answer.code, ordered(answer.body), answer.warnings))
    told.append(ordered((await api.get(f"{path}/a")).body))
    return told


def outcome(plural: str, todo: list[tuple[Any, ...]], patched: pytest.MonkeyPatch) -> list[Any]:
    """Return what becomes of writes, where nothing is drawn and no time passes."""
    numbers = itertools.count()
    patched.setattr(strategy, "new_uid", lambda: f"00000000-0000-4000-8000-{next(numbers):012}")

    async def main() -> list[Any]:
        api = Api(clock=ManualClock())
        return await written(await api.start(), plural, todo)

    return asyncio.run(main())


def take_the_plain_way(patched: pytest.MonkeyPatch) -> None:
    update = registry.Registry.update

    def plain_update(*args: Any, **options: Any) -> Any:
        return update(*args, **(options | {"only_reads": False}))

    patched.setattr(registry.Registry, "update", plain_update)
    patched.setattr(registry, "keep_same_parts", lambda new, old: None)
    patched.setattr(patch, "is_plain", lambda text: False)
    patched.setattr(Wire, "stored", lambda wire, entry: None)


@pytest.mark.parametrize("plural", GROUPS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(todo=st.lists(edits(), min_size=1, max_size=6))
def test_a_write_leaves_the_same_on_the_quick_way_and_on_the_plain_one(
    plural: str, todo: list[tuple[Any, ...]]
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        quick = outcome(plural, todo, patched)
        take_the_plain_way(patched)
        assert outcome(plural, todo, patched) == quick
