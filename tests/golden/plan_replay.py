"""Recorded clusters as a plan has them, whose pods come one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.golden.scheduling_replay import KINDS_OF_FIELDS, decision_needs, refusals, to_profile

from kubeberth.api.scheme import PODS
from kubeberth.library.kinds import RESOURCES
from kubeberth.placement.ties import FirstAdded
from kubeberth.planner.objects import Objects
from kubeberth.planner.placing import Placing

Document = dict[str, Any]

NEW_YEAR = 1_767_225_600


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
        while self.placing.run():
            pass  # a pod that volumes were promised to is bound the next time
        return self.objects.get(PODS, key_of(document)).spec.node_name or None

    def message(self, document: Document) -> str:
        """Return why a pod has no node, and let it go."""
        (entry,) = self.placing.waiting
        self.objects.remove(PODS, key_of(document))
        return entry.message


def differences(record: Document, most: int | None = None) -> Iterator[str | None]:
    """Yield, for each answer that is compared, how a plan's differs; None where it does not.

    Parameters
    ----------
    most
        So many pods of a scenario at most.
    """
    if "admitted" in record:
        yield _difference_of_admission(record)
    elif not ("invalid" in record["expected"] or refusals(record["scenario"])):
        yield from _differences(record["scenario"], record["expected"]["results"][:most])


def _differences(scenario: Document, results: list[Document]) -> Iterator[str | None]:
    scene = Scene(scenario)
    for index, (document, result) in enumerate(zip(scenario["pending"], results, strict=False)):
        if decision_needs(result):
            return
        what = f"{scenario['id']} {result['pod']}"
        node = scene.place(document, index)
        if node != result.get("chosen"):
            yield f"{what}: recorded {result.get('chosen')!r}, planned {node!r}"
            return
        victims = {gone.pod.metadata.key for gone in scene.placing.preempted}
        if victims:
            # Those that were on their way out already are not told again.
            options = [set(each["victims"]) for each in result["preemption"]["candidates"]]
            is_one = any(victims <= option for option in options)
            yield None if is_one else f"{what}: recorded {options!r}, planned {victims!r}"
            return
        message = "" if node is not None else scene.message(document)
        is_gated = "preEnqueue" in result
        is_other = node is None and not is_gated and message != result.get("message", message)
        yield f"{what}: recorded {result['message']!r}, planned {message!r}" if is_other else None


def _difference_of_admission(record: Document) -> str | None:
    objects = Objects(NEW_YEAR)
    for document in record["priorityClasses"]:
        objects.load(RESOURCES["PriorityClass"], document)
    objects.load(PODS, record["pod"])
    spec = objects.document(PODS, key_of(record["pod"]))["spec"]
    expected = record["admitted"]["spec"]
    # The recorder's two system classes lacked the policy that a server's own have.
    expected.setdefault("preemptionPolicy", "PreemptLowerPriority")
    name = record["pod"]["metadata"]["name"]
    return None if spec == expected else f"{name}: recorded {expected!r}, planned {spec!r}"


def _name(document: Document) -> str:
    name: str = document["metadata"]["name"]
    return name


def key_of(document: Document) -> str:
    """Return the key of a pod."""
    meta = document["metadata"]
    return f"{meta.get('namespace', 'default')}/{meta['name']}"
