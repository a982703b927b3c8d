"""Objects are stored, or refused, as the real API server does (tests/golden/scheduling)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.golden.as_stored import Document, RefusedError, Server

FOLDER = Path(__file__).parent / "scheduling"


def records(name: str) -> Iterator[Document]:
    with gzip.open(FOLDER / f"{name}.jsonl.gz", "rt") as lines:
        yield from map(json.loads, lines)


def test_admitted_pods_look_as_recorded() -> None:
    differing = []
    for record in records("admission"):
        server = Server(record["priorityClasses"])
        stored = server.pod(record["pod"])["spec"]
        expected = record["admitted"]["spec"]
        # The recorder's two system classes lacked the policy that a server's own have.
        expected.setdefault("preemptionPolicy", "PreemptLowerPriority")
        if stored != expected:
            differing.append((record["pod"]["metadata"]["name"], stored, expected))
    assert differing == []


def refusals(scenario: Document) -> list[dict[str, Any]]:
    server = Server(scenario.get("priorityClasses", ()))
    found = []
    named = [
        *(("node", server.node, node) for node in scenario["nodes"]),
        *(("pod", server.pod, pod) for pod in (*scenario["pods"], *scenario["pending"])),
    ]
    for kind, store, document in named:
        try:
            store(document)
        except RefusedError as refusal:
            meta = document["metadata"]
            name = meta["name"] if kind == "node" else f"default/{meta['name']}"
            found.append(
                {"object": f"{kind} {name}", "stage": refusal.stage, "errors": refusal.errors}
            )
    return found


@pytest.mark.parametrize("theme", ["invalid", "examples", "mixed", "spread"])
def test_the_same_objects_are_refused_for_the_same_reasons(theme: str) -> None:
    differing = []
    for record in records(theme):
        found = refusals(record["scenario"])
        if found != record["expected"].get("invalid", []):
            differing.append((record["scenario"]["id"], found, record["expected"].get("invalid")))
    assert differing == []
