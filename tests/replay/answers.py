"""Recorded answers of the API server: how ours differ from them.

`tests/golden/README.md` describes what was normalised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

HEADERS = ("Content-Type", "Warning", "Retry-After", "Allow", "WWW-Authenticate", "Location")
PLACEHOLDER = re.compile(
    r"<(uid|rv|rand)-(\d+)>|<(rv|time|age|continue|token|server|diff|object|id)>"
)
ANYTHING = {"diff": "(?:.|\n)*", "object": "(?:.|\n)*", "continue": "\\S*", "token": "\\S+"}
SHAPES = {
    "uid": "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "rv": "[0-9]+",
    "rand": "[a-z0-9]{5}",
    "time": r"[0-9T:.Z-]+",
    "age": "(?:[0-9]+[smhdy])+|<unknown>|<invalid>",
    "server": r"[0-9.:a-z\[\]]+",
    "id": "[0-9a-f]+",
    **ANYTHING,
}


@dataclass
class Answer:
    """What the server said."""

    code: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key == name.lower()]

    def value(self) -> Any:
        """Return the body as JSON, else as text."""
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body.decode()


class Comparison:
    """Finds what differs; numbered placeholders stand for the same value all along a scenario."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def differences(self, expected: Any, actual: Any, path: str = "") -> Iterator[str]:
        """Yield what differs, as text."""
        if isinstance(expected, dict) and isinstance(actual, dict):
            for key in sorted({*expected, *actual}):
                if key not in actual:
                    yield f"{path}/{key}: missing {json.dumps(expected[key])[:120]}"
                elif key not in expected:
                    yield f"{path}/{key}: unexpected {json.dumps(actual[key])[:120]}"
                else:
                    yield from self.differences(expected[key], actual[key], f"{path}/{key}")
        elif isinstance(expected, list) and isinstance(actual, list):
            if len(expected) != len(actual):
                yield f"{path}: {len(actual)} items, expected {len(expected)}"
            for index, (one, other) in enumerate(zip(expected, actual, strict=False)):
                yield from self.differences(one, other, f"{path}/{index}")
        elif isinstance(expected, str) and isinstance(actual, str):
            if not self._matches(expected, actual):
                yield f"{path}: {actual[:300]!r}, expected {expected[:300]!r}"
        elif expected != actual or isinstance(expected, bool) is not isinstance(actual, bool):
            yield f"{path}: {json.dumps(actual)[:120]}, expected {json.dumps(expected)[:120]}"

    def _matches(self, expected: str, actual: str) -> bool:
        if "<" not in expected:
            return expected == actual
        pattern, names, position = "", [], 0
        for found in PLACEHOLDER.finditer(expected):
            pattern += re.escape(expected[position : found.start()])
            kind = found[1] or found[3]
            pattern += f"({SHAPES[kind]})"
            names.append(found[0] if found[1] else "")
            position = found.end()
        match = re.fullmatch(pattern + re.escape(expected[position:]), actual)
        if match is None:
            return False
        return all(
            self._values.setdefault(name, value) == value
            for name, value in zip(names, match.groups(), strict=True)
            if name
        )


def compare(comparison: Comparison, step: dict[str, Any], answer: Answer) -> list[str]:
    """Return how an answer differs from the recorded one."""
    expect = step["expect"]
    found = []
    if answer.code != expect["code"]:
        found.append(f"code {answer.code}, expected {expect['code']}: {answer.body[:300]!r}")
    for name in HEADERS:
        wanted = (expect.get("headers") or {}).get(name)
        values = answer.header(name)
        got: Any = values if name == "Warning" else values[0] if values else None
        if name == "Warning" and not values:
            got = None
        if name == "Content-Type" and wanted is None:
            continue
        found += comparison.differences(wanted, got, f"header {name}")
    if "body" not in expect:
        return found
    expected = expect["body"]
    if step.get("stream") and answer.code == 200:
        actual: Any = events_of(answer.body)
    else:
        actual = answer.value() if answer.body else ""
        if answer.header("Content-Type") == ["application/yaml"]:
            # As text, it would have to have all that is not served yet.
            expected, actual = yaml.safe_load(expected), yaml.safe_load(actual)
    if step.get("keysOnly"):
        actual = sorted(actual) if isinstance(actual, dict) else actual
    if "only" in step and isinstance(actual, dict):
        actual = {key: actual[key] for key in step["only"] if key in actual}
    if "keep" in step and isinstance(actual, dict):
        keep = step["keep"]
        items = actual.get(keep["list"], [])
        kept = [item for item in items if pointer_or_none(item, keep["key"]) in keep["in"]]
        actual = {**actual, keep["list"]: kept}
    if not step.get("managedFields"):
        expected, actual = without_managed_fields(expected), without_managed_fields(actual)
    else:
        expected, actual = with_ordered_owners(expected), with_ordered_owners(actual)
    expected, actual = without_descriptions(expected), without_descriptions(actual)
    return found + list(comparison.differences(narrowed(expected, actual), actual))


def pointer(value: Any, path: str) -> Any:
    """Return the part of a value that a JSON pointer names."""
    for part in path.split("/")[1:]:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def pointer_or_none(value: Any, path: str) -> Any:
    """Return what a pointer names, or None."""
    try:
        return pointer(value, path)
    except (KeyError, IndexError, TypeError):
        return None


def without_managed_fields(value: Any) -> Any:
    """Return a value without `metadata.managedFields`, on all levels."""
    if isinstance(value, dict):
        return {k: without_managed_fields(v) for k, v in value.items() if k != "managedFields"}
    if isinstance(value, list):
        return [without_managed_fields(item) for item in value]
    return value


def with_ordered_owners(value: Any) -> Any:
    """Return an object with its managed fields in the order of the recordings."""
    metadata = value.get("metadata", {}) if isinstance(value, dict) else {}
    owners = metadata.get("managedFields")
    if not owners:
        return value
    names = ("operation", "subresource", "manager", "apiVersion")
    owners = sorted(owners, key=lambda entry: [entry.get(name, "") for name in names])
    return {**value, "metadata": {**metadata, "managedFields": owners}}


def without_descriptions(value: Any) -> Any:
    """Return a value whose table columns are not described: we use words of our own."""
    if isinstance(value, dict):
        columns = value.get("columnDefinitions")
        if isinstance(columns, list):
            named = [{k: v for k, v in c.items() if k != "description"} for c in columns]
            return {**value, "columnDefinitions": named}
        return {k: without_descriptions(v) for k, v in value.items()}
    if isinstance(value, list):
        return [without_descriptions(item) for item in value]
    return value


def events_of(body: bytes) -> list[Any]:
    """Return the events of a watch, but for plain bookmarks."""
    events = [json.loads(line) for line in body.splitlines()]
    return [event for event in events if not _is_plain_bookmark(event)]


def _is_plain_bookmark(event: Any) -> bool:
    metadata = event["object"].get("metadata", {})
    return event["type"] == "BOOKMARK" and "annotations" not in metadata


def narrowed(expected: Any, actual: Any) -> Any:
    """Return a recorded discovery document without what is not served yet."""
    if not (isinstance(expected, dict) and isinstance(actual, dict)):
        return expected
    result = dict(expected)
    for key, name in (("resources", "name"), ("groups", "name"), ("resources", "resource")):
        rows, ours = expected.get(key), actual.get(key)
        if isinstance(rows, list) and rows and name in rows[0] and isinstance(ours, list):
            names = [row.get(name) for row in ours]
            result[key] = [
                _narrowed_subresources(row, ours[names.index(row[name])])
                for row in rows
                if row[name] in names
            ]
    if expected.get("kind") == "APIGroupDiscoveryList":
        ours = {item["metadata"].get("name"): item for item in actual["items"]}
        result["items"] = [
            {**item, "versions": [
                narrowed(one, other)
                for one, other in zip(
                    item["versions"], ours[item["metadata"].get("name")]["versions"], strict=False
                )
            ]}
            for item in expected["items"]
            if item["metadata"].get("name") in ours
        ]  # fmt: skip
    return result


def _narrowed_subresources(row: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    if "subresources" not in row:
        return row
    names = [sub["subresource"] for sub in ours.get("subresources", ())]
    kept = [sub for sub in row["subresources"] if sub["subresource"] in names]
    return {**{k: v for k, v in row.items() if k != "subresources"},
            **({"subresources": kept} if kept else {})}  # fmt: skip
