"""What there is to be got at: secrets of all kinds, each with a text that nobody else may read."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from kubeberth.api.scheme import RESOURCES

Document = dict[str, Any]
# Asks as the administrator: method, target and document to code and document.
Ask = Callable[[str, str, Document | None], Awaitable[tuple[int, Document]]]

NODE, OTHER_NODE = "edge", "vault"
BOOTSTRAP = "abcdef.0123456789abcdef"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
# Whose names say which of them its node may read.
MINE, THEIRS = "mine", "theirs"
# What changes without anybody's doing anything wrong: what a node writes, and who asks for what.
_LIVELY = ("events", "certificatesigningrequests", "leases", "csinodes")


class World:
    """The objects of a new cluster with two nodes, of which one has been got hold of.

    Attributes
    ----------
    canary
        Is in all that the intruders must not read, and nowhere else.
    uids
        Of pods and nodes, by name.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.canary = f"canary{secrets.token_hex(12)}"
        self.uids: dict[str, str] = {}

    async def make(self) -> None:
        """Make everything."""
        await self._post("/api/v1/namespaces", {"metadata": {"name": "other"}})
        for node in (NODE, OTHER_NODE):
            labels = {"node-restriction.kubernetes.io/zone": node}
            taints = [{"key": "dedicated", "value": node, "effect": "NoExecute"}]
            body = {"metadata": {"name": node, "labels": labels}, "spec": {"taints": taints}}
            self.uids[node] = (await self._post("/api/v1/nodes", body))["metadata"]["uid"]
        for namespace in ("default", "other", "kube-system"):
            await self._secrets(namespace)
        for account in ("default", "gone", "again"):
            await self.account(account)
        token_id, secret = BOOTSTRAP.split(".")
        data = {
            "token-id": token_id,
            "token-secret": secret,
            "usage-bootstrap-authentication": "true",
        }
        metadata = {"name": f"bootstrap-token-{token_id}"}
        await self._post(
            "/api/v1/namespaces/kube-system/secrets",
            {"metadata": metadata, "type": "bootstrap.kubernetes.io/token", "stringData": data},
        )
        await self.pods()

    async def _secrets(self, namespace: str) -> None:
        space = f"/api/v1/namespaces/{namespace}"
        for name in (MINE, THEIRS, "vault"):
            is_open = (namespace, name) == ("default", MINE)
            text = "open" if is_open else self.canary
            body: Document = {"metadata": {"name": name}}
            raw = base64.b64encode(text.encode()).decode()
            await self._post(f"{space}/secrets", {**body, "data": {"key": raw, text: raw}})
            await self._post(f"{space}/configmaps", {**body, "data": {"key": text}})

    async def account(self, name: str) -> Document:
        """Make a service account."""
        path = "/api/v1/namespaces/default/serviceaccounts"
        body = {"metadata": {"name": name}, "automountServiceAccountToken": False}
        return await self._post(path, body)

    async def pods(self) -> None:
        """Make the pods that are not there: a node may have ended its own."""
        for name, node in ((MINE, NODE), (THEIRS, OTHER_NODE), ("leaving", NODE)):
            refers = [{"secretRef": {"name": name}}, {"configMapRef": {"name": name}}]
            labels = {} if node == NODE else {"seen": self.canary}
            body = {
                "metadata": {"name": name, "labels": labels},
                "spec": {
                    "nodeName": node,
                    "terminationGracePeriodSeconds": 0,
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [{"name": "c", "image": "nginx", "envFrom": refers}],
                },
            }
            code, made = await self._ask("POST", "/api/v1/namespaces/default/pods", body)
            if code == 201:
                self.uids[name] = made["metadata"]["uid"]

    async def token(self, account: str, pod: str = "") -> str:
        """Return a token of a service account, bound to a pod if one is named."""
        bound = {"apiVersion": "v1", "kind": "Pod", "name": pod}
        spec: Document = {"boundObjectRef": bound} if pod else {}
        path = f"/api/v1/namespaces/default/serviceaccounts/{account}/token"
        token: str = (await self._post(path, {"spec": spec}))["status"]["token"]
        return token

    async def delete(self, path: str) -> None:
        """Delete an object."""
        code, document = await self._ask("DELETE", path, None)
        assert code in (200, 202), document

    async def state(self) -> dict[str, bytes]:
        """Return everything that the intruders must not change, by kind and name."""
        found = {}
        for resource in RESOURCES:
            if "list" not in resource.verbs or resource.plural in _LIVELY or resource.stored_as:
                continue
            code, listed = await self._ask("GET", resource.path(), None)
            assert code == 200, listed
            for item in listed["items"]:
                metadata = item["metadata"]
                key = f"{resource.plural}/{metadata.get('namespace', '')}/{metadata['name']}"
                found[key] = _kept(key, item)
        return found

    async def _post(self, path: str, body: Document) -> Document:
        code, document = await self._ask("POST", path, body)
        assert code == 201, document
        return document


def _kept(key: str, item: Document) -> bytes:
    """Return what nobody but the administrator may change of an object."""
    metadata = item["metadata"]
    if key == f"nodes//{NODE}":
        zone = (metadata.get("labels") or {}).get("node-restriction.kubernetes.io/zone")
        kept = (zone, item["spec"].get("taints"), metadata.get("ownerReferences"))
        return msgspec.json.encode(kept)
    if key in (f"pods/default/{MINE}", "pods/default/leaving"):
        # Its node may end it, and then it is made anew.
        return msgspec.json.encode((item["spec"]["nodeName"], metadata.get("labels")))
    return msgspec.json.encode(item)
