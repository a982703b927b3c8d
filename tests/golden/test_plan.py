"""A plan decides as kube-scheduler did in the recordings, and so it does of a snapshot of them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from tests.golden.plan_replay import Scene, differences, key_of
from tests.golden.scheduling_replay import KINDS_OF_FIELDS, read, refusals

from kubeberth.api.scheme import Resource
from kubeberth.library.kinds import RESOURCES
from kubeberth.library.stored import SYSTEM_CLASSES, to_stored
from kubeberth.planner.anonymous import anonymised
from kubeberth.planner.snapshot import reduced

FOLDER = Path(__file__).parent / "scheduling"
FILES = sorted(FOLDER.glob("*.jsonl.gz"))
# All of the recordings take minutes: `scripts/golden plan` looks at each of them.
STRIDE = 12
MOST_PODS = 100
_OF_FIELDS = {
    "priorityClasses": "PriorityClass",
    **KINDS_OF_FIELDS,
    "pods": "Pod",
    "pending": "Pod",
}

Document = dict[str, Any]


def _admitted(resource: Resource, document: Document, scenario: Document) -> Document:
    """Return an object as a snapshot finds it: admitted, and with a UID."""
    classes = (*SYSTEM_CLASSES, *scenario.get("priorityClasses", ()))
    admitted = to_stored(resource, document, classes).document
    meta = admitted["metadata"]
    meta.setdefault("uid", f"{resource.kind}/{key_of(admitted)}")
    meta["resourceVersion"] = "1"
    return admitted


def _nodes(scenario: Document) -> list[int | None]:
    """Return which node, by its place among their names, each pending pod gets."""
    scene = Scene(scenario)
    names = sorted(node["metadata"]["name"] for node in scenario["nodes"])
    found = []
    for index, document in enumerate(scenario["pending"]):
        node = scene.place(document, index)
        found.append(None if node is None else names.index(node))
    return found


def scenarios(path: Path) -> list[tuple[Document, Document]]:
    records = (record for record in read(path) if "scenario" in record)
    return [
        (record["scenario"], record["expected"])
        for record in records
        if "invalid" not in record["expected"] and not refusals(record["scenario"])
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.split(".")[0])
def test_plans_answer_as_the_recorded_servers_did(path):
    found = [
        answer
        for record in islice(read(path), 0, None, STRIDE)
        for answer in differences(record, MOST_PODS)
    ]
    assert [answer for answer in found if answer is not None] == []
    assert found or path.name.startswith("invalid")


# What a configuration says of labels keeps its names.
_NAMED = ("admission", "config-overrides", "invalid")
NAMELESS = [path for path in FILES if path.name.split(".")[0] not in _NAMED]


@pytest.mark.parametrize("path", NAMELESS, ids=lambda path: path.name.split(".")[0])
def test_without_names_every_decision_stays_the_same(path):
    for scenario, _ in scenarios(path)[STRIDE // 2 :: STRIDE]:
        kinds = {field: RESOURCES[kind] for field, kind in _OF_FIELDS.items()}
        objects = [
            reduced(kinds[field], _admitted(kinds[field], document, scenario))
            for field in _OF_FIELDS
            for document in scenario.get(field, ())
        ]
        renamed = iter(anonymised(objects))
        hidden = {field: [next(renamed) for _ in scenario.get(field, ())] for field in _OF_FIELDS}
        assert _nodes(hidden) == _nodes(scenario), scenario["id"]
