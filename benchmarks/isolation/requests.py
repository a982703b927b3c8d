"""What intruders ask for: everything there is, by ways straight and crooked."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from benchmarks.isolation.world import MINE, NODE, OTHER_NODE, RBAC, THEIRS, Document

from kubeberth.api.scheme import (
    CONFIG_MAPS,
    LEASES,
    NODES,
    PODS,
    RESOURCES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)

METHODS = ("GET", "GET", "GET", "POST", "PUT", "PATCH", "DELETE")
ODD_METHODS = ("HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "GETS")
WORTHY = (SECRETS, CONFIG_MAPS, NODES, PODS, SERVICE_ACCOUNTS, LEASES)
PATHS = (
    *("/", "/api", "/apis", "/healthz", "/livez", "/readyz", "/version", "/openapi/v2"),
    *("/openapi/v3", "/metrics", "/logs/", "/debug/pprof/", "/configz", "/apis/apps/v1"),
    *("/openid/v1/jwks", "/.well-known/openid-configuration", "/readyz/etcd", "/statusz"),
)
NAMES = (MINE, THEIRS, "vault", NODE, OTHER_NODE, "default", "bootstrap-token-abcdef")
NAMESPACES = ("default", "default", "other", "kube-system", "kube-node-lease", "none")
QUERIES = (
    *("watch=1", "watch=true&timeoutSeconds=1", "limit=1", "dryRun=All", "resourceVersion=0"),
    f"fieldSelector=metadata.name={MINE}",
    f"fieldSelector=metadata.name%3D{THEIRS}",
    f"fieldSelector=spec.nodeName={NODE}",
    f"fieldSelector=spec.nodeName={OTHER_NODE}",
    f"fieldSelector=spec.nodeName={NODE},spec.nodeName={OTHER_NODE}",
    f"fieldSelector=spec.nodeName!={NODE}",
    f"fieldSelector=spec.nodeName={NODE}&fieldSelector=spec.nodeName={OTHER_NODE}",
    f"fieldSelector=metadata.name={MINE}&fieldSelector=metadata.name={THEIRS}",
    "labelSelector=a%3Db",
    "as=system:admin",
    "impersonate-user=admin",
    "user=system:masters&group=system:masters",
    "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIvIn0",
    "includeObject=Object",
    "propagationPolicy=Orphan",
)
# What a server that trusts its neighbours would take for who asks, or for what.
HEADERS = (
    ("Impersonate-User", "berth-admin"),
    ("Impersonate-User", "system:kube-controller-manager"),
    ("Impersonate-User", "system:serviceaccount:kube-system:generic-garbage-collector"),
    ("Impersonate-User", f"system:node:{OTHER_NODE}"),
    ("Impersonate-User", ""),
    ("Impersonate-Group", "system:masters"),
    ("Impersonate-Uid", "0"),
    ("Impersonate-Extra-scopes", "all"),
    ("X-Remote-User", "berth-admin"),
    ("X-Remote-Group", "system:masters"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-Client-Cert", "Subject=CN=admin"),
    ("X-HTTP-Method-Override", "GET"),
    ("X-Original-URL", "/healthz"),
    ("X-Rewrite-URL", "/healthz"),
    ("Forwarded", "for=127.0.0.1"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade, Authorization"),
    ("Cookie", "user=admin"),
    ("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"),
    ("Accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"),
    ("Accept", "application/yaml"),
)
PATCHES = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request but for who asks.

    Parameters
    ----------
    crooked
        What was done to its path; empty when it is straight.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    crooked: str = ""

    def __str__(self) -> str:
        headers = " ".join(f"{name}={value!r}" for name, value in self.headers)
        return f"{self.method} {self.target[:300]!r} {headers} {self.body[:300]!r}"


class Generator:
    """The same chance gives the same requests."""

    def __init__(self, chance: random.Random, uids: dict[str, str]) -> None:
        self._chance = chance
        self._uids = uids

    def request(self) -> Sent:
        """Return the next request."""
        chance = self._chance
        method = chance.choice(METHODS if chance.random() < 0.98 else ODD_METHODS)
        path, resource, part = self._path(method)
        target, crooked = path, ""
        if chance.random() < 0.4:
            crooked = chance.choice(tuple(CROOKED))
            target = CROOKED[crooked](path, chance)
        if chance.random() < 0.4:
            target += f"{'&' if '?' in target else '?'}{chance.choice(QUERIES)}"
        headers = tuple(
            chance.choice(HEADERS) for _ in range(chance.choice((0, 0, 0, 0, 0, 1, 1, 2, 3)))
        )
        body = b""
        if method in ("POST", "PUT", "PATCH", "DELETE"):
            body = msgspec.json.encode(self._body(method, resource, part))
            kind = chance.choice(PATCHES) if method == "PATCH" else "application/json"
            headers = (*headers, ("Content-Type", kind))
        return Sent(method, target, headers, body, crooked)

    def _path(self, method: str) -> tuple[str, Resource | None, str]:
        chance = self._chance
        if chance.random() < 0.08:
            return chance.choice(PATHS), None, ""
        resource = chance.choice(RESOURCES)
        if chance.random() < 0.4:  # what is worth most
            resource = chance.choice(WORTHY)
        namespace = chance.choice(NAMESPACES) if chance.random() < 0.9 else None
        is_of_one = method in ("PUT", "PATCH", "DELETE") or chance.random() < 0.5
        name = chance.choice(NAMES) if is_of_one else None
        parts = [part.name for part in resource.subresources]
        part = chance.choice(parts) if name and parts and chance.random() < 0.4 else ""
        path = resource.path(namespace, name, part)
        if namespace and not resource.namespaced and chance.random() < 0.1:
            prefix, _, rest = path.partition(f"/{resource.plural}")
            path = f"{prefix}/namespaces/{namespace}/{resource.plural}{rest}"
        return path, resource, part

    def _body(self, method: str, resource: Resource | None, part: str) -> Document:
        chance = self._chance
        metadata: Document = {"name": chance.choice(NAMES)}
        if resource is None or method == "DELETE":
            return {}
        document: Document = {"apiVersion": resource.api_version, "kind": resource.kind}
        if chance.random() < 0.5:
            metadata |= chance.choice(
                (
                    {"labels": {"node-restriction.kubernetes.io/zone": OTHER_NODE}},
                    {"labels": {"node-role.kubernetes.io/control-plane": ""}},
                    {"ownerReferences": [self._owner()]},
                    {"annotations": {"kubernetes.io/config.mirror": "x"}},
                    {"finalizers": ["kubernetes"]},
                    {"namespace": chance.choice(NAMESPACES)},
                )
            )
        return {**document, "metadata": metadata, **self._content(resource.plural, part)}

    def _owner(self) -> Document:
        name = self._chance.choice((NODE, OTHER_NODE, "none"))
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "name": name,
            "uid": self._uids.get(name, "0"),
            "controller": True,
        }

    def _content(self, plural: str, part: str) -> Document:
        chance = self._chance
        if part == "token":
            pod = chance.choice((MINE, THEIRS))
            bound = {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": self._uids[pod]}
            audiences = chance.choice(([], ["vault"]))
            return {"spec": {"boundObjectRef": bound, "audiences": audiences}}
        if part in ("binding", "eviction"):
            return {"target": {"kind": "Node", "name": NODE}}
        node = chance.choice((NODE, OTHER_NODE))
        contents: dict[str, tuple[Any, ...]] = {
            "pods": (
                {"spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}},
                {"status": {"phase": "Failed"}},
                {"spec": {"nodeName": node, "resourceClaims": [{"name": "a"}], "containers": []}},
            ),
            "nodes": (
                {"spec": {"taints": []}},
                {"spec": {"unschedulable": True}, "status": {"capacity": {"cpu": "99"}}},
            ),
            "secrets": ({"stringData": {"key": "changed"}},),
            "subjectaccessreviews": (
                {"spec": {"user": "jane", "nonResourceAttributes": {"path": "/", "verb": "get"}}},
            ),
            "certificatesigningrequests": (
                {
                    "spec": {
                        "request": "",
                        "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
                        "usages": ["client auth"],
                    }
                },
            ),
        }
        for bindings in ("clusterrolebindings", "rolebindings"):
            role = {"apiGroup": RBAC.split("/")[2], "kind": "ClusterRole", "name": "cluster-admin"}
            subjects = [{"kind": "Group", "apiGroup": role["apiGroup"], "name": "system:nodes"}]
            contents[bindings] = ({"roleRef": role, "subjects": subjects},)
        for roles in ("clusterroles", "roles"):
            rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            contents[roles] = ({"rules": [rule]},)
        return dict(chance.choice(contents.get(plural, ({"data": {"key": "changed"}},))))


def _escaped(path: str, chance: random.Random) -> str:
    return "".join(f"%{ord(c):02X}" if chance.random() < 0.3 and c != "/" else c for c in path)


def _slashes_escaped(path: str, chance: random.Random) -> str:
    return path[0] + path[1:].replace("/", chance.choice(("%2F", "%2f", "%5C", "%252F")))


def _in_segment(path: str, chance: random.Random, *insertions: str) -> str:
    parts = path.split("/")
    parts.insert(chance.randrange(1, len(parts) + 1), chance.choice(insertions))
    return "/".join(parts)


def _in_text(path: str, chance: random.Random, *insertions: str) -> str:
    at = chance.randrange(1, len(path) + 1)
    return path[:at] + chance.choice(insertions) + path[at:]


def _case(path: str, chance: random.Random) -> str:
    return "".join(c.swapcase() if chance.random() < 0.3 else c for c in path)


CROOKED = {
    "escaped": _escaped,
    "escaped twice": lambda path, chance: quote(_escaped(path, chance)),
    "slashes escaped": _slashes_escaped,
    "up and down": lambda path, chance: _in_segment(
        path, chance, "..", "%2e%2e", ".%2e", "..%2f..", "x/..", "...", "..;", "%c0%ae%c0%ae"
    ),
    "on the spot": lambda path, chance: _in_segment(path, chance, ".", "%2e", "./."),
    "slashes doubled": lambda path, chance: _in_segment(path, chance, "", "/", "//"),
    "through a public path": lambda path, chance: (
        chance.choice(
            (
                "/healthz/..",
                "/version/..",
                "/readyz/%2e%2e",
                "/livez//..",
                "/healthz;",
                "/version%00",
            )
        )
        + path
    ),
    "as a public path": lambda path, chance: (
        path
        + chance.choice(("/../../healthz", "/healthz", "%00/healthz", "#/healthz", ";/healthz"))
    ),
    "other case": _case,
    "something in between": lambda path, chance: _in_text(
        path, chance, "%00", "%20", "%0d%0a", "%09", ";a=b", "\\", "%ff", "%u002f", "*", "%"
    ),
    "something at the end": lambda path, chance: (
        path + chance.choice(("/", "//", "/.", "%20", ".", "%00", ".json", "~", "/*", "/-", "%2f"))
    ),
    "very long": lambda path, chance: _in_segment(path, chance, "x" * 8000, "../" * 2000),
    "of the old watches": lambda path, chance: path.replace("/v1/", "/v1/watch/", 1),
    "of a proxy": lambda path, chance: f"https://{chance.choice(('x', '127.0.0.1'))}{path}",
    "of another version": lambda path, chance: path.replace(
        "/v1", chance.choice(("/v2", "/v1beta1", "/", "/V1", "/v1/v1")), 1
    ),
}
