"""kopf: a small operator with a custom resource, run in this process against the cluster."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import kopf
import pytest
from kubernetes import client, config

from tests.e2e.test_lifecycle import wait_for

pytestmark = pytest.mark.e2e

GROUP, VERSION, PLURAL = "example.com", "v1", "vaults"
VALUES = {"type": "object", "additionalProperties": {"type": "string"}}
STATUS = {"type": "object", "properties": {"secret": {"type": "string"}}}
VAULTS = {
    "metadata": {"name": f"{PLURAL}.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": PLURAL, "singular": "vault", "kind": "Vault"},
        "versions": [
            {
                "name": VERSION,
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"values": VALUES}},
                            "status": STATUS | {"x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


def make_registry(resumed):
    """Return an operator that keeps a Secret for every Vault."""
    registry = kopf.OperatorRegistry()
    vaults = GROUP, VERSION, PLURAL

    @kopf.on.login(registry=registry)
    def login(**kwargs):
        return kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.create(*vaults, registry=registry)
    def create(body, namespace, name, patch, **_):
        secret = {"metadata": {"name": f"{name}-copy"}, "stringData": dict(body["spec"]["values"])}
        kopf.adopt(secret, owner=body)
        client.CoreV1Api().create_namespaced_secret(namespace, secret)
        patch.status["secret"] = f"{name}-copy"
        kopf.info(body, reason="Copied", message=f"Made the secret {name}-copy")

    @kopf.on.update(*vaults, field="spec.values", registry=registry)
    def update(new, namespace, name, **_):
        change = {"stringData": dict(new)}
        client.CoreV1Api().patch_namespaced_secret(f"{name}-copy", namespace, change)

    @kopf.on.resume(*vaults, registry=registry)
    def resume(name, **_):
        resumed.append(name)

    @kopf.on.delete(*vaults, registry=registry)
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


@pytest.fixture
def vaults(core, namespace):
    """The custom resource, of one namespace."""
    definitions = client.ApiextensionsV1Api()
    with contextlib.suppress(client.ApiException):  # another test has made it
        definitions.create_custom_resource_definition(VAULTS)
    found = Vaults(namespace)
    wait_for(found.are_served)
    return found


class Vaults:
    def __init__(self, namespace):
        self._where = GROUP, VERSION, namespace, PLURAL
        self._api = client.CustomObjectsApi()

    def are_served(self):
        try:
            return self.names() is not None
        except client.ApiException:
            return False

    def names(self):
        found = self._api.list_namespaced_custom_object(*self._where)
        return [item["metadata"]["name"] for item in found["items"]]

    def make(self, **values):
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "Vault",
            "metadata": {"name": "main"},
            "spec": {"values": values},
        }
        self._api.create_namespaced_custom_object(*self._where, body)

    def read(self):
        return self._api.get_namespaced_custom_object(*self._where, "main")

    def change(self, **values):
        body = {"spec": {"values": values}}
        self._api.patch_namespaced_custom_object(*self._where, "main", body)

    def delete(self):
        self._api.delete_namespaced_custom_object(*self._where, "main")

    def is_copied(self):
        return self.read().get("status", {}).get("secret") == "main-copy"


def copy(core, namespace):
    secrets = core.list_namespaced_secret(namespace, field_selector="metadata.name=main-copy").items
    return secrets[0] if secrets else None


def events(core, namespace):
    return {event.message for event in core.list_namespaced_event(namespace).items}


def test_an_operator_follows_its_objects_from_creation_to_deletion(core, vaults, namespace):
    with Operator(namespace):
        vaults.make(size="1")
        wait_for(lambda: copy(core, namespace) is not None)
        made = copy(core, namespace)
        assert made.data == {"size": "MQ=="}
        assert made.metadata.owner_references[0].kind == "Vault"
        wait_for(lambda: "Made the secret main-copy" in events(core, namespace))
        wait_for(vaults.is_copied)
        vaults.change(size="2")
        wait_for(lambda: copy(core, namespace).data == {"size": "Mg=="})
        vaults.delete()
        wait_for(lambda: copy(core, namespace) is None)
        wait_for(lambda: vaults.names() == [])


def test_what_its_operator_still_has_to_tidy_up_stays_until_then(core, vaults, namespace):
    with Operator(namespace):
        vaults.make(size="1")
        wait_for(lambda: copy(core, namespace) is not None)
    vaults.delete()
    metadata = vaults.read()["metadata"]
    assert "deletionTimestamp" in metadata
    assert metadata["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
    with Operator(namespace):
        wait_for(lambda: copy(core, namespace) is None)
        wait_for(lambda: vaults.names() == [])


def test_an_operator_goes_on_after_the_server_restarted(core, vaults, namespace, restart):
    with Operator(namespace):
        vaults.make(size="1")
        wait_for(lambda: copy(core, namespace) is not None)
        restart()
        vaults.change(size="2")
        wait_for(lambda: copy(core, namespace).data == {"size": "Mg=="})


def test_an_operator_resumes_what_another_one_began(vaults, namespace):
    with Operator(namespace):
        vaults.make(size="1")
        wait_for(vaults.is_copied)
    with Operator(namespace) as second:
        wait_for(lambda: second.resumed == ["main"])
