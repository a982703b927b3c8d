"""`scripts/golden api [FILE...]`: replay recorded exchanges with the API server, in process.

Prints per theme how many steps agree; with -v what differs. Steps about kinds, groups or server
options that are not there yet are counted apart.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kubeberth.api.scheme import RESOURCES
from kubeberth.apiserver.admission_selection import AdmissionSettings
from kubeberth.apiserver.app import App, AppSettings
from kubeberth.apiserver.auth.authn import AUTHENTICATED, Authenticator, Shown, User
from kubeberth.apiserver.http.head import fields
from kubeberth.apiserver.http.request import Request
from kubeberth.apiserver.responses import StreamResponse
from kubeberth.apiserver.route import parse_request
from kubeberth.apiserver.storage.memory import MemoryStore
from kubeberth.clock import SystemClock
from tests.replay.answers import Answer, Comparison, compare, pointer

FOLDER = Path(__file__).resolve().parents[1] / "golden/api"
# What the servers of the recordings were told; see tests/golden/README.md.
SERVERS = {
    "default": AdmissionSettings(),
    "forgetful": AdmissionSettings(),
    "topology": AdmissionSettings(enable=("LimitPodHardAntiAffinityTopology",)),
    "seconds": AdmissionSettings(not_ready_s=60, unreachable_s=120),
    "podnodeselector": AdmissionSettings(
        enable=("PodNodeSelector",),
        configuration={
            "PodNodeSelector": {
                "podNodeSelectorPluginConfig": {
                    "clusterDefaultNodeSelector": "tier=general",
                    "adm-pns-listed": "env=prod,region=west",
                    "adm-pns-both": "env=prod",
                    "adm-pns-empty": "",
                }
            }
        },
    ),
    "podnodeselector2": AdmissionSettings(
        enable=("PodNodeSelector",),
        configuration={
            "PodNodeSelector": {
                "podNodeSelectorPluginConfig": {
                    "adm-pns-listed": "env=stage",
                    "adm-pns-both": "pool=blue,env=stage",
                }
            }
        },
    ),
    "podtolerations": AdmissionSettings(
        enable=("PodTolerationRestriction",),
        configuration={
            "PodTolerationRestriction": {
                "default": [
                    {
                        "key": "team",
                        "operator": "Equal",
                        "value": "general",
                        "effect": "NoSchedule",
                    }
                ],
                "whitelist": [
                    {"key": "team", "operator": "Exists"},
                    {"key": "gpu", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
                    {"key": "node.kubernetes.io/not-ready", "operator": "Exists"},
                    {"key": "node.kubernetes.io/unreachable", "operator": "Exists"},
                    {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"},
                ],
            }
        },
    ),
    "bare": AdmissionSettings(
        disable=(
            "ServiceAccount",
            "DefaultTolerationSeconds",
            "TaintNodesByCondition",
            "Priority",
        )
    ),
}
# Scenarios of this theme wait for watches to end, and do not disturb each other.
PARALLEL_THEMES = ("lists",)
UIDS = {"admin": "1", "alice": "2", "bob": "3", "carol": "4"}
SERVED = {(r.group, r.version, r.plural) for r in RESOURCES}
SERVED_SUBS = {
    (r.group, r.version, r.plural, sub.name) for r in RESOURCES for sub in r.subresources
}


def user_of(name: str) -> User | None:
    """Return the user that a recording names."""
    groups = {
        "admin": ("system:masters",),
        "alice": ("dev",),
        "bob": ("ops", "dev"),
    }.get(name, ("system:nodes",) if name.startswith("system:node:") else ())
    if name in ("anonymous", "bad-token"):
        return None
    if name == "node-without-group":
        return User("system:node:worker-1", frozenset((AUTHENTICATED,)))
    return User.of(name, (*groups, AUTHENTICATED), UIDS.get(name, ""))


async def ask(app: App, request: dict[str, Any]) -> Answer:
    """Send one request."""
    headers = {"Accept": "application/json", "User-Agent": "oracle/1.0"}
    body = b""
    if "rawBody" in request:
        body = request["rawBody"].encode()
    elif "body" in request:
        body = json.dumps(request["body"]).encode()
    if body:
        headers["Content-Type"] = "application/json"
    headers |= request.get("headers") or {}
    name = request.get("as", "admin")
    if name == "bad-token":
        headers["Authorization"] = "Bearer nobody's"
    pairs = [(k.lower().encode(), v.encode()) for k, v in headers.items() if v is not None]
    target = request["path"].encode()
    # A token that the request shows itself counts, as over a connection without a certificate.
    user = None if headers.get("Authorization") else user_of(name)
    asked = Request(request["method"], target, pairs, Shown(user), body)
    found = await app.answer(asked)
    answer = Answer()
    if isinstance(found, StreamResponse):
        answer.code, answer.body = 200, await _all_of(found)
    else:
        answer.code, answer.body = found.status, found.body
    if request["method"] == "HEAD":
        answer.body = b""
    sent = fields(answer.code, found.content_type, found.headers)
    answer.headers = [(name.lower(), value) for name, value in sent]
    return answer


async def _all_of(answer: StreamResponse) -> bytes:
    """Return what comes of an answer that grows, until it ends."""
    news = asyncio.Event()
    answer.source.begin(news.set)
    chunks = []
    while (chunk := answer.source.take()) is not None:
        chunks.append(chunk)
        if not chunk:
            news.clear()
            await news.wait()
    answer.source.close()
    return b"".join(chunks)


def edited(value: Any, operations: Iterable[dict[str, Any]]) -> Any:
    """Return a copy of a value changed by RFC 6902 operations."""
    value = json.loads(json.dumps(value))
    for operation in operations:
        *parents, last = operation["path"].split("/")[1:]
        place = value
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if operation["op"] == "remove":
            del place[int(last) if isinstance(place, list) else last]
        elif isinstance(place, list):
            place.insert(len(place) if last == "-" else int(last), operation["value"])
        else:
            place[last] = operation["value"]
    return value


def filled(value: Any, saved: dict[str, Any]) -> Any:
    """Return a value with `{{name}}` replaced."""
    if isinstance(value, str):
        return re.sub(r"\{\{(\w+)\}\}", lambda m: str(saved.get(m[1], f"unset-{m[1]}")), value)
    if isinstance(value, list):
        return [filled(item, saved) for item in value]
    if isinstance(value, dict):
        return {filled(key, saved): filled(item, saved) for key, item in value.items()}
    return value


def is_served(step: dict[str, Any]) -> bool:
    """Tell whether a request is about something that is there already, or never will be.

    Who may not ask is told so whether it is there or not.
    """
    if step["expect"]["code"] in (401, 403):
        return True
    path, _, query = step["path"].partition("?")
    info = parse_request(step["method"], path, query)
    groups = {group for group, _, _ in SERVED}
    if not info.is_resource:
        return not path.startswith("/apis/") or path.split("/")[2] in {*groups, "nope"}
    body = step["expect"]["body"]
    is_about_object = isinstance(body, dict) and "name" in body.get("details", {})
    if step["expect"]["code"] == 404 and not is_about_object:
        return True  # unknown for ever
    if info.subresource:
        return (info.group, info.version, info.plural, info.subresource) in SERVED_SUBS
    return (info.group, info.version, info.plural) in SERVED


class Replay:
    """Replays scenarios against servers made as needed."""

    def __init__(self) -> None:
        self._apps: dict[str, tuple[App, MemoryStore]] = {}

    async def app(self, server: str) -> tuple[App, MemoryStore]:
        """Return the server of a name."""
        if server not in self._apps:
            store = MemoryStore()
            settings = AppSettings(
                service_cidr="10.0.0.0/16",
                authenticator=Authenticator(allow_anonymous=True),
                chance=random.Random(1),
                issuer="https://127.0.0.1",
                admission=SERVERS[server],
            )
            app = App(store, SystemClock(), settings)
            self._apps[server] = app, store
            await app.start()
        return self._apps[server]

    async def run(self, scenario: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
        """Return per step its verdict (agree, differ, absent), its name and what differs."""
        steps = scenario["steps"]
        names = [f"{scenario['id']}#{i} {s['method']} {s['path']}" for i, s in enumerate(steps)]
        if scenario["server"] not in SERVERS:
            return [("absent", name, []) for name in names]
        app, store = await self.app(scenario["server"])
        saved: dict[str, Any] = {}
        is_set_up = True
        for request in scenario.get("setup", ()):
            answer = await self._ask(app, request, saved)
            is_set_up &= answer.code < 400
        comparison = Comparison()
        results = []
        for name, step in zip(names, steps, strict=True):
            if step.get("forget"):
                await store.compact(store.revision)
            answer = await self._ask(app, step, saved)
            found = compare(comparison, step, answer)
            absent = not is_served(step) or not (is_set_up or not found)
            verdict = "absent" if absent else "differ" if found else "agree"
            results.append((verdict, name, found))
        for path in scenario.get("cleanup", ()):
            await ask(app, {"method": "DELETE", "path": path, "body": {"gracePeriodSeconds": 0}})
        return results

    async def _ask(self, app: App, step: dict[str, Any], saved: dict[str, Any]) -> Answer:
        request = filled({k: v for k, v in step.items() if k != "expect"}, saved)
        if "bodyFrom" in step:
            request["body"] = edited(saved.get(step["bodyFrom"], {}), request.get("edit", ()))
        answer = await ask(app, request)
        for name, path in (step.get("save") or {}).items():
            try:
                saved[name] = pointer(answer.value(), path)
            except (KeyError, IndexError, TypeError):
                continue  # the answer is not the recorded one, as the comparison tells
        return answer


def scenarios_of(file: Path) -> list[dict[str, Any]]:
    """Return the scenarios of a file."""
    with gzip.open(file, "rt") as lines:
        return [json.loads(line) for line in lines]


async def replay(file: Path, only: str = "") -> list[tuple[str, str, list[str]]]:
    """Return the verdicts on all steps of a file."""
    scenarios = [s for s in scenarios_of(file) if only in s["id"]]
    runner = Replay()
    for scenario in scenarios:
        if scenario["server"] in SERVERS:
            await runner.app(scenario["server"])
    if scenarios and scenarios[0]["theme"] in PARALLEL_THEMES:
        results = await asyncio.gather(*map(runner.run, scenarios))
    else:
        results = [await runner.run(scenario) for scenario in scenarios]
    return [verdict for result in results for verdict in result]


def main(arguments: list[str]) -> int:
    """Replay, print how many steps agree, and return 1 when one does not."""
    parser = argparse.ArgumentParser(prog="golden api", description=__doc__)
    parser.add_argument("file", nargs="*", type=Path, help="default: all of tests/golden/api")
    parser.add_argument(
        "-k", default="", metavar="TEXT", help="only scenarios with this in their id"
    )
    parser.add_argument("-v", action="store_true", help="show what differs")
    options = parser.parse_args(arguments)
    files = options.file or sorted(FOLDER.glob("*.jsonl.gz"))
    total: Counter[str] = Counter()
    for file in files:
        verdicts = asyncio.run(replay(file, options.k))
        counts = Counter(verdict for verdict, _, _ in verdicts)
        total += counts
        if options.v:
            for verdict, name, found in verdicts:
                if verdict == "differ":
                    print(name, *found[:8], sep="\n    ")
        report(file.name.partition(".")[0], counts)
    if len(files) > 1:
        report("all", total)
    return 0 if not total["differ"] else 1


def report(theme: str, counts: Counter[str]) -> None:
    """Print one line of the summary."""
    n_here = counts["agree"] + counts["differ"]
    print(
        f"{theme:12} {counts['agree']:5} of {n_here:5} steps agree, {counts['absent']} not here yet"
    )
