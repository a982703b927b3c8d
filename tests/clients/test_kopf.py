"""kopf: a small operator, run in this process against the cluster."""

from __future__ import annotations

import asyncio
import threading

import kopf
import pytest
from kubernetes import client, config

from tests.e2e.test_lifecycle import wait_for

pytestmark = pytest.mark.e2e

MARK = {"example.com/copies": "yes"}


def make_registry(resumed):
    """Return an operator that keeps a Secret for every marked ConfigMap."""
    registry = kopf.OperatorRegistry()
    about = {"labels": MARK, "registry": registry}

    @kopf.on.login(registry=registry)
    def login(**kwargs):
        return kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.create("configmaps", **about)
    def create(body, namespace, name, patch, **_):
        secret = {"metadata": {"name": f"{name}-copy"}, "stringData": dict(body["data"])}
        kopf.adopt(secret, owner=body)
        client.CoreV1Api().create_namespaced_secret(namespace, secret)
        patch.metadata.annotations["example.com/copied"] = "yes"
        kopf.info(body, reason="Copied", message=f"Made the secret {name}-copy")

    @kopf.on.update("configmaps", field="data", **about)
    def update(new, namespace, name, **_):
        change = {"stringData": dict(new)}
        client.CoreV1Api().patch_namespaced_secret(f"{name}-copy", namespace, change)

    @kopf.on.resume("configmaps", **about)
    def resume(name, **_):
        resumed.append(name)

    @kopf.on.delete("configmaps", **about)
    def delete(namespace, name, **_):
        client.CoreV1Api().delete_namespaced_secret(f"{name}-copy", namespace)

    return registry


class Operator:
    """kopf's event loop in a thread."""

    def __init__(self, namespace: str) -> None:
        self.resumed: list[str] = []
        self._ready, self._stop = threading.Event(), threading.Event()
        self._namespace = namespace
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        settings = kopf.OperatorSettings()
        settings.networking.error_backoffs = [0.1, 0.2, 0.5, 1, 1, 1]
        settings.watching.reconnect_backoff = 0.1
        asyncio.run(
            kopf.operator(
                registry=make_registry(self.resumed),
                settings=settings,
                namespaces=[self._namespace],
                standalone=True,
                ready_flag=self._ready,
                stop_flag=self._stop,
            )
        )

    def __enter__(self) -> Operator:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def core(kubeconfig, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    config.load_kube_config(kubeconfig)
    return client.CoreV1Api()


def make(core, namespace, **data):
    body = {"metadata": {"name": "settings", "labels": MARK}, "data": data}
    core.create_namespaced_config_map(namespace, body)


def copy(core, namespace):
    secrets = core.list_namespaced_secret(
        namespace, field_selector="metadata.name=settings-copy"
    ).items
    return secrets[0] if secrets else None


def events(core, namespace):
    return {event.message for event in core.list_namespaced_event(namespace).items}


def is_marked_as_copied(core, namespace):
    metadata = core.read_namespaced_config_map("settings", namespace).metadata
    return "example.com/copied" in (metadata.annotations or {})


def test_an_operator_follows_its_objects_from_creation_to_deletion(core, namespace):
    with Operator(namespace):
        make(core, namespace, size="1")
        wait_for(lambda: copy(core, namespace) is not None)
        made = copy(core, namespace)
        assert made.data == {"size": "MQ=="}
        assert made.metadata.owner_references[0].name == "settings"
        wait_for(lambda: "Made the secret settings-copy" in events(core, namespace))
        core.patch_namespaced_config_map("settings", namespace, {"data": {"size": "2"}})
        wait_for(lambda: copy(core, namespace).data == {"size": "Mg=="})
        core.delete_namespaced_config_map("settings", namespace)
        wait_for(lambda: copy(core, namespace) is None)

        def is_gone():
            names = [
                item.metadata.name for item in core.list_namespaced_config_map(namespace).items
            ]
            return "settings" not in names

        wait_for(is_gone)


def test_an_operator_goes_on_after_the_server_restarted(core, namespace, restart):
    with Operator(namespace):
        make(core, namespace, size="1")
        wait_for(lambda: copy(core, namespace) is not None)
        restart()
        core.patch_namespaced_config_map("settings", namespace, {"data": {"size": "2"}})
        wait_for(lambda: copy(core, namespace).data == {"size": "Mg=="})


def test_an_operator_resumes_what_another_one_began(core, namespace):
    with Operator(namespace):
        make(core, namespace, size="1")
        wait_for(lambda: is_marked_as_copied(core, namespace))
    with Operator(namespace) as second:
        wait_for(lambda: second.resumed == ["settings"])
