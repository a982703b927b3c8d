"""Whether an API server keeps to its own OpenAPI documents, request after request.

    python benchmarks/fuzz_openapi.py [--examples 50] [--seed 1] [DOCUMENT...]

schemathesis makes requests from the documents, such as `api/v1` or `apis/apps/v1` (default: all):
paths, queries and bodies as the schemas have them, and now and then as they do not. They go to an
application in this process. Reported is

- an answer of 500 that the real API server would not give
- a request that was not answered within `PATIENCE_S`
- a write that was acknowledged and is not what a read then shows

with the request, so that it can be sent again; the exit status is 1 when there was any.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.replay.api import Answer, ask

from kubeberth.apiserver.app import App, AppSettings
from kubeberth.apiserver.auth.authn import Authenticator
from kubeberth.apiserver.storage.memory import MemoryStore
from kubeberth.clock import SystemClock

Document = dict[str, Any]

PATIENCE_S = 10.0
# Few, so that requests meet the same objects again.
NAMES = ("a", "b", "c.d", "Not_A_Name")
NAMESPACES = ("default", "default", "absent")
# How often of four times a request keeps the version and the metadata that were made for it.
STRANGE = 1


@dataclass
class Report:
    """What came of it.

    Attributes
    ----------
    codes
        How often there was which answer.
    findings
        What must not be.
    """

    codes: Counter[int] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


class Fuzzer:
    """Sends what schemathesis makes, and looks at the answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.report = Report()
        settings = AppSettings(authenticator=Authenticator())
        self._app = App(MemoryStore(), SystemClock(), settings)
        loop.run_until_complete(self._app.start())
        account = {"metadata": {"name": "default"}}
        self.send("POST", "/api/v1/namespaces/default/serviceaccounts", account)

    def close(self) -> None:
        """Stop the application."""
        self._app.close()
        self._loop.run_until_complete(asyncio.sleep(0))  # for what was cancelled to end

    def documents(self) -> list[str]:
        """Return the names of all documents."""
        return sorted(self.send("GET", "/openapi/v3").value()["paths"])

    def run(self, document: str, n_examples: int, seed: int, only: str = "") -> None:
        """Send requests for every operation of a document, or those with a text in their label."""
        published = self.send("GET", f"/openapi/v3/{document}").value()
        loaded = schemathesis.openapi.from_dict(published)
        for result in loaded.get_all_operations():
            operation = result.ok()
            if only in operation.label:
                self._try(operation, n_examples, seed)

    def _try(self, operation: Any, n_examples: int, seed: int) -> None:
        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=n_examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(
            operation.as_strategy(),
            st.sampled_from(NAMESPACES),
            st.sampled_from(NAMES),
            st.integers(0, 3),
        )
        def send(case: Any, namespace: str, name: str, dice: int) -> None:
            path = case.path.format(namespace=namespace, name=name)
            query = {k: v for k, v in (case.query or {}).items() if not isinstance(v, dict | list)}
            body = case.body if isinstance(case.body, dict | list) else None
            if dice >= STRANGE:
                query.pop("resourceVersion", None)
                if isinstance(body, dict):
                    body = with_plain_metadata(body, name, self._version(case, path))
            self._check(case.method.upper(), path, query, body, case.media_type or "")

        send()

    def _version(self, case: Any, path: str) -> str:
        """Return the version of the object that is going to be replaced."""
        if case.method.upper() != "PUT":
            return ""
        found = self.send("GET", path)
        return found.value()["metadata"]["resourceVersion"] if found.code == 200 else ""

    def _check(self, method: str, path: str, query: Document, body: Any, media_type: str) -> None:
        url = path + (f"?{urlencode(query)}" if query else "")
        shown = f"{method} {url} {media_type} {json.dumps(body)}"
        try:
            answer = self.send(method, url, body, media_type)
        except TimeoutError:
            self.report.findings.append(f"no answer: {shown}")
            return
        self.report.codes[answer.code] += 1
        for fault in self._faults(method, path, query, answer):
            self.report.findings.append(f"{fault}: {shown}")

    def _faults(self, method: str, path: str, query: Document, answer: Answer) -> Iterator[str]:
        if answer.code < 500:
            if method in ("PUT", "PATCH", "POST") and answer.code < 300 and "dryRun" not in query:
                yield from self._lost(path, answer)
            return
        value = answer.value()
        if not isinstance(value, dict) or value.get("reason") == "InternalError":
            yield f"{answer.code} {answer.body[:300]!r}"

    def _lost(self, path: str, answer: Answer) -> Iterator[str]:
        """Yield what is wrong with a write, if a read does not show it."""
        written = answer.value()
        metadata = written.get("metadata") or {}
        if "resourceVersion" not in metadata:
            return  # a review, or a Status
        where = path if path.endswith(f"/{metadata['name']}") else f"{path}/{metadata['name']}"
        found = self.send("GET", where if "/scale" in path else _of_object(where, metadata))
        if found.code == 404 and "deletionTimestamp" in metadata:
            return  # what it waited for has been taken away by this write
        if found.code == 405:
            return  # a review, whose sender gave it a version
        if found.code != 200 or found.value() != written:
            yield f"written {answer.body[:300]!r}, but read {found.code} {found.body[:300]!r}"

    def send(self, method: str, path: str, body: Any = None, media_type: str = "") -> Answer:
        """Send a request as an administrator, and return the answer."""
        request: Document = {"method": method, "path": path}
        if body is not None:
            # JSON is YAML, too; protobuf is another fuzzer's.
            kind = "application/json" if media_type.endswith("protobuf") else media_type
            request["rawBody"] = json.dumps(body)
            request["headers"] = {"Content-Type": kind or "application/json"}
        answering = asyncio.wait_for(ask(self._app, request), PATIENCE_S)
        return self._loop.run_until_complete(answering)


def _of_object(path: str, metadata: Document) -> str:
    """Return the path of an object, given that of one of its parts."""
    head, slash, _ = path.rpartition(f"/{metadata['name']}/")
    return f"{head}/{metadata['name']}" if slash else path


def with_plain_metadata(body: Document, name: str, version: str) -> Document:
    """Return a body whose metadata fit its path, so that the rest of it counts."""
    metadata: Document = {"name": name}
    if version:
        metadata["resourceVersion"] = version
    return {key: value for key, value in body.items() if key not in ("apiVersion", "kind")} | {
        "metadata": metadata
    }


def main() -> int:
    """Send the requests, print what came of it, and return 1 when something must not be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", nargs="*")
    parser.add_argument("--examples", type=int, default=50, help="requests for each operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-k", default="", metavar="TEXT", help="only operations with this in them")
    options = parser.parse_args()
    loop = asyncio.new_event_loop()
    fuzzer = Fuzzer(loop)
    for document in options.document or fuzzer.documents():
        before = fuzzer.report.codes.total()
        fuzzer.run(document, options.examples, options.seed, options.k)
        print(f"{document:45} {fuzzer.report.codes.total() - before:6} requests", flush=True)
    fuzzer.close()
    report = fuzzer.report
    print(", ".join(f"{code}: {n}" for code, n in sorted(report.codes.items())))
    print("\n".join(report.findings) or "nothing to report")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
