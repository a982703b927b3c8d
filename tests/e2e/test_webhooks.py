"""Webhooks and policies with a real kubectl: the examples of the documentation, and faults."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Berth
from tests.webhook_server import (
    WebhookServer,
    configuration,
    denied,
    patching,
    running,
    server,
    webhook,
)

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/api-server.md").read_text()
EXAMPLES = ROOT / "examples/webhooks"
# A command, and what it prints up to an empty line or the end of the block.
_STEP = re.compile(r"^\$ kubectl (?P<command>[^\n]+)\n(?P<output>(?:(?!```).+\n)*)", re.M)


class Session:
    """A kubectl and the objects it is given."""

    def __init__(self, berth: Berth, folder: Path) -> None:
        self._kubectl = berth.kubectl()
        self._folder = folder

    def out(self, command: str) -> str:
        """Return what a command prints, wherever it prints it."""
        done = self._kubectl.run(f"kubectl {command}")
        return done.stdout + done.stderr

    def apply(self, document: object) -> str:
        """Apply a document and return what is printed."""
        path = self._folder / "document.json"
        path.write_text(json.dumps(document))
        return self.out(f"apply -f {path}")

    def register(self, kind: str, *webhooks: dict, name: str = "hooks") -> None:
        """Register webhooks; kind is Validating or Mutating."""
        body = configuration(name, *webhooks)
        head = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": f"{kind}WebhookConfiguration",
        }
        assert "created" in self.apply({**head, **body})


@pytest.fixture
def session(cluster: Berth, tmp_path: Path) -> Iterator[Session]:
    """A session on the shared cluster; what it registers is gone afterwards."""
    made = Session(cluster, tmp_path)
    yield made
    kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations"
    made.out(f"delete {kinds} --all")
    made.out("delete deployments,configmaps --all --wait=false")


@pytest.fixture
def hooks() -> Iterator[WebhookServer]:
    with running(server()) as made:
        yield made


def test_the_documented_examples_run_and_print_what_is_shown(session: Session, tmp_path: Path):
    section = TEXT[TEXT.index("## Webhooks and policies") :]
    steps = list(_STEP.finditer(section))
    assert len(steps) > 5
    registration = tmp_path / "label-pods.yaml"
    with registration.open("wb") as file:
        command = [sys.executable, str(EXAMPLES / "label_pods.py")]
        serving = subprocess.Popen(command, stdout=file)
    try:
        while not registration.read_text():
            assert serving.poll() is None
            time.sleep(0.05)
        for step in steps:
            command = step["command"].replace("label-pods.yaml", str(registration))
            command = command.replace("few-replicas.yaml", str(EXAMPLES / "few-replicas.yaml"))
            assert session.out(command) == step["output"]
    finally:
        serving.terminate()
        serving.wait(10)


def test_pods_of_controllers_pass_webhooks_too(session: Session, hooks: WebhookServer):
    add = {"op": "add", "path": "/metadata/annotations", "value": {"seen": "yes"}}
    hooks.answers["/"] = patching(add)
    rule = {"resources": ["pods"], "operations": ["CREATE"]}
    session.register("Mutating", webhook(client=hooks.client(), rule=rule))
    session.out("create deployment web --image=nginx --replicas=2")
    session.out("rollout status deployment/web --timeout=30s")
    seen = session.out("get pods -l app=web -o jsonpath={.items[*].metadata.annotations.seen}")
    assert seen == "yes yes"
    users = {request["userInfo"]["username"] for request in hooks.requests()}
    assert users == {"system:serviceaccount:kube-system:replicaset-controller"}


def test_kubectl_prints_why_a_webhook_refuses(session: Session, hooks: WebhookServer):
    hooks.answers["/"] = denied(message="not on a Friday", code=403, reason="Forbidden")
    session.register("Validating", webhook(client=hooks.client()))
    assert session.out("create configmap a") == (
        'error: failed to create configmap: admission webhook "hook.example.com" denied the '
        "request: not on a Friday\n"
    )
    session.out("delete validatingwebhookconfiguration hooks")
    assert session.out("create configmap a") == "configmap/a created\n"


def test_a_webhook_that_went_away_is_named_and_can_be_removed(session: Session):
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    gone = {"url": "https://127.0.0.1:1/"}
    session.register("Validating", webhook(client=gone, rule=rule))
    told = session.out("create configmap b")
    assert told == (
        "error: failed to create configmap: Internal error occurred: failed calling webhook "
        '"hook.example.com": failed to call webhook: Post "https://127.0.0.1:1/?timeout=10s": '
        "dial tcp 127.0.0.1:1: connect: connection refused\n"
    )
    assert "NAME" in session.out("get nodes")
    assert "deleted" in session.out("delete validatingwebhookconfiguration hooks")
    assert session.out("create configmap b") == "configmap/b created\n"


def test_a_slow_webhook_keeps_nobody_else_waiting(session: Session, hooks: WebhookServer):
    def sleep(review: dict) -> dict:
        time.sleep(3)
        return review

    hooks.answers["/"] = sleep
    session.register("Validating", webhook(client=hooks.client(), timeoutSeconds=1))
    started = time.monotonic()
    told = session.out("create configmap c")
    assert time.monotonic() - started < 10
    assert "context deadline exceeded" in told
    assert session.out("create secret generic s") == "secret/s created\n"
    session.out("delete secret s")
