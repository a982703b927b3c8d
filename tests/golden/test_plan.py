"""A plan decides as kube-scheduler did in the recordings, and so it does of a snapshot of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.golden.scheduling_replay import (
    KINDS_OF_FIELDS,
    decision_needs,
    read,
    refusals,
    to_profile,
)

from kubeberth.api.scheme import PODS, Resource
from kubeberth.library.kinds import RESOURCES
from kubeberth.library.stored import SYSTEM_CLASSES, to_stored
from kubeberth.placement.ties import FirstAdded
from kubeberth.planner.anonymous import anonymised
from kubeberth.planner.objects import Objects
from kubeberth.planner.placing import Placing
from kubeberth.planner.snapshot import reduced

FOLDER = Path(__file__).parent / "scheduling"
FILES = sorted(
    path
    for path in FOLDER.glob("*.jsonl.gz")
    if path.name.split(".")[0] not in ("trace", "admission")
)
NEW_YEAR = 1_767_225_600
# All of the recordings take a minute; `1` looks at each of them.
STRIDE = 12
_OF_FIELDS = {
    "priorityClasses": "PriorityClass",
    **KINDS_OF_FIELDS,
    "pods": "Pod",
    "pending": "Pod",
}

Document = dict[str, Any]


class Scene:
    """A recorded cluster whose pods come one after the other."""

    def __init__(self, scenario: Document) -> None:
        self.objects = Objects(NEW_YEAR)
        profile = to_profile(scenario)
        self.placing = Placing(self.objects, {profile.name: profile}, FirstAdded())
        for document in scenario.get("priorityClasses", ()):
            self.objects.load(RESOURCES["PriorityClass"], document)
        for field, kind in KINDS_OF_FIELDS.items():
            # Of equally good nodes the records have the first by name.
            for document in sorted(scenario.get(field, ()), key=_name if kind == "Node" else len):
                self.objects.load(RESOURCES[kind], document)
        for document in scenario["pods"]:
            self.objects.load(PODS, document)

    def place(self, document: Document, index: int) -> str | None:
        """Let a pod come, and return its node."""
        self.objects.now = NEW_YEAR + index
        self.objects.load(PODS, document)
        self.placing.run()
        return self.objects.get(PODS, _key(document)).spec.node_name or None

    def message(self, document: Document) -> str:
        """Return why a pod has no node, and let it go."""
        (entry,) = self.placing.waiting
        self.objects.remove(PODS, _key(document))
        return entry.message


def _name(document: Document) -> str:
    return document["metadata"]["name"]


def _key(document: Document) -> str:
    meta = document["metadata"]
    return f"{meta.get('namespace', 'default')}/{meta['name']}"


def _admitted(resource: Resource, document: Document, scenario: Document) -> Document:
    """Return an object as a snapshot finds it: admitted, and with a UID."""
    classes = (*SYSTEM_CLASSES, *scenario.get("priorityClasses", ()))
    admitted = to_stored(resource, document, classes).document
    meta = admitted["metadata"]
    meta.setdefault("uid", f"{resource.kind}/{_key(admitted)}")
    meta["resourceVersion"] = "1"
    return admitted


def _nodes(scenario: Document) -> list[int | None]:
    """Return which node, by its place among their names, each pending pod gets."""
    scene = Scene(scenario)
    names = sorted(map(_name, scenario["nodes"]))
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
def test_pods_land_where_kube_scheduler_put_them(path):
    n_compared = 0
    for scenario, expected in scenarios(path)[::STRIDE]:
        scene = Scene(scenario)
        pending = zip(scenario["pending"], expected["results"], strict=True)
        for index, (document, result) in enumerate(pending):
            if decision_needs(result):
                break
            node = scene.place(document, index)
            assert node == result.get("chosen"), (scenario["id"], result["pod"])
            n_compared += 1
            if victims := {gone.pod.metadata.key for gone in scene.placing.preempted}:
                # Those that were on their way out already are not told again.
                options = [set(each["victims"]) for each in result["preemption"]["candidates"]]
                assert any(victims <= option for option in options), scenario["id"]
                break
            if node is None:
                message = scene.message(document)
                if "preEnqueue" not in result:
                    assert message == result.get("message", message), scenario["id"]
    assert n_compared


# What a configuration says of labels keeps its names.
NAMELESS = [path for path in FILES if "config" not in path.name]


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
