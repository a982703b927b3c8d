"""Who may do what: every verb on every resource and part, asked of a new cluster by everybody.

Requests are real ones that change nothing (`dryRun`), so that what admission refuses is refused
here, too. A node is asked about what belongs to it, in the most harmless way that it may write it,
and about the same of another node.

    PYTHONPATH=src python -m tests.rights_matrix > tests/unit/apiserver/rights.txt
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kubeberth.api.scheme import Resource
from kubeberth.apiserver.auth import controller_roles
from kubeberth.apiserver.auth.authn import (
    ANONYMOUS,
    AUTHENTICATED,
    NODES,
    SERVICE_ACCOUNT,
    User,
    account_groups,
)
from kubeberth.apiserver.catalogue import Catalogue
from kubeberth.apiserver.responses import StreamResponse
from tests.unit.apiserver.conftest import Api

Document = dict[str, Any]

LETTERS = {
    "create": "c",
    "delete": "d",
    "deletecollection": "D",
    "get": "g",
    "list": "l",
    "patch": "p",
    "update": "u",
    "watch": "w",
}
METHODS = {
    "create": "POST",
    "delete": "DELETE",
    "deletecollection": "DELETE",
    "patch": "PATCH",
    "update": "PUT",
}
PATHS = (
    *("/", "/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz"),
    *("/version", "/.well-known/openid-configuration", "/openid/v1/jwks", "/metrics", "/logs"),
)
# Objects about which rights are told by name, where others of the kind have none.
PLACES = {
    "configmaps": ("kube-system/extension-apiserver-authentication",),
    "leases.coordination.k8s.io": ("kube-system/kube-scheduler",),
    "secrets": ("kube-system/bootstrap-token-abcdef",),
    "serviceaccounts": ("kube-system/deployment-controller", "kube-system/default"),
}
MIRROR = {"kubernetes.io/config.mirror": "x", "kubernetes.io/config.source": "file"}
HEAD = """\
Who may do what in a new cluster, asked by real requests; made by tests/rights_matrix.py.
c create  d delete  D deletecollection  g get  l list  p patch  u update  w watch  - nothing

VERBS      what is served, and so what system:masters may
GARBAGE, NAMESPACES    controllers that have to do with every kind
NODE       node-1, of what belongs to it: its Node, its pods, what these refer to
NODE-2'S   node-1, of what belongs to node-2
USER       somebody with a certificate and no role; ACCOUNT the same, a service account
"""


def _known(name: str, *groups: str) -> User:
    return User(name, frozenset((*groups, AUTHENTICATED)))


def _account(namespace: str, name: str) -> User:
    return _known(f"{SERVICE_ACCOUNT}{namespace}:{name}", *account_groups(namespace))


_WIDE = {
    "generic-garbage-collector": "GARBAGE",
    "namespace-controller": "NAMESPACES",
}
NODE_1 = _known("system:node:node-1", NODES)


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody, and to which node belongs what is asked about."""

    title: str
    user: User
    node: str = "node-1"


ASKERS = (
    Asker("SCHEDULER", _known("system:kube-scheduler")),
    Asker("CONTROLLERS", _known("system:kube-controller-manager")),
    Asker("NODE", NODE_1),
    Asker("NODE-2'S", NODE_1, "node-2"),
    Asker("USER", _known("jane", "developers")),
    Asker("ACCOUNT", _account("default", "default")),
    Asker("ANONYMOUS", ANONYMOUS),
    *(Asker(title, _account("kube-system", name)) for name, title in _WIDE.items()),
)
CONTROLLERS = tuple(
    Asker(name, _account("kube-system", name))
    for name in controller_roles.ACCOUNTS
    if name not in _WIDE
)


@dataclass(frozen=True, slots=True)
class Row:
    """A resource or a part of one; `place` is an object that is asked about in particular."""

    resource: Resource
    sub: str = ""
    place: str = ""

    @property
    def title(self) -> str:
        """How the table names it."""
        part = f"/{self.sub}" if self.sub else ""
        return f"{self.resource.rules_key}{part} {self.place}".rstrip()

    @property
    def verbs(self) -> tuple[str, ...]:
        """What is served."""
        if not self.sub:
            return self.resource.verbs
        part = self.resource.subresource(self.sub)
        return part.verbs if part is not None else ()

    def target(self, node: str) -> tuple[str, str]:
        """Return namespace and name of the object that belongs to a node."""
        if self.place:
            namespace, _, name = self.place.partition("/")
            return namespace, name
        if self.resource.plural == "leases":
            return "kube-node-lease", node
        is_named_so = self.resource.plural in ("nodes", "csinodes")
        return (
            "default" if self.resource.namespaced else ""
        ), node if is_named_so else f"of-{node}"


def rows(resources: Iterable[Resource]) -> Iterator[Row]:
    """Yield the rows of resources."""
    for resource in resources:
        for place in ("", *PLACES.get(resource.rules_key, ())):
            for sub in ("", *(part.name for part in resource.subresources)):
                yield Row(resource, sub, place)


class Cluster:
    """A new cluster with two nodes, and an object of most kinds that belongs to each."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.uids: dict[str, str] = {}

    @property
    def _catalogue(self) -> Catalogue:
        return self._api.app.definitions.catalogue

    async def prepare(self) -> None:
        """Make what the requests are about."""
        definition = {
            "metadata": {"name": "boats.example.com"},
            "spec": {
                "group": "example.com",
                "names": {"plural": "boats", "kind": "Boat"},
                "scope": "Namespaced",
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "subresources": {"status": {}},
                        "schema": {"openAPIV3Schema": {"type": "object"}},
                    }
                ],
            },
        }
        await self._make("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        async with asyncio.timeout(10):
            while self._catalogue.find("example.com", "v1", "boats") is None:
                await asyncio.sleep(0.001)
        for node in ("node-1", "node-2"):
            await self._prepare_node(node)

    async def _prepare_node(self, node: str) -> None:
        core, default, name = "/api/v1", "/api/v1/namespaces/default", f"of-{node}"
        made = await self._make(f"{core}/nodes", {"metadata": {"name": node}})
        self.uids[node] = made["metadata"]["uid"]
        for plural in ("secrets", "configmaps", "serviceaccounts"):
            await self._make(f"{default}/{plural}", {"metadata": {"name": name}})
        size = {"storage": "1Gi"}
        volume = {
            "capacity": size,
            "accessModes": ["ReadWriteOnce"],
            "claimRef": {"namespace": "default", "name": name},
            "hostPath": {"path": "/tmp"},
        }
        await self._make(f"{core}/persistentvolumes", {"metadata": {"name": name}, "spec": volume})
        claim = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": size},
            "volumeName": name,
        }
        await self._make(
            f"{default}/persistentvolumeclaims", {"metadata": {"name": name}, "spec": claim}
        )
        refers = [{"secretRef": {"name": name}}, {"configMapRef": {"name": name}}]
        pod = {
            "nodeName": node,
            "serviceAccountName": name,
            "containers": [{"name": "c", "image": "nginx", "envFrom": refers}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": name}}],
        }
        made = await self._make(f"{default}/pods", {"metadata": {"name": name}, "spec": pod})
        self.uids[name] = made["metadata"]["uid"]
        attachment = {
            "attacher": "a",
            "nodeName": node,
            "source": {"persistentVolumeName": name},
        }
        await self._make(
            "/apis/storage.k8s.io/v1/volumeattachments",
            {"metadata": {"name": name}, "spec": attachment},
        )
        await self._make(
            "/apis/storage.k8s.io/v1/csinodes",
            {"metadata": {"name": node}, "spec": {"drivers": []}},
        )
        await self._make(
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
            {"metadata": {"name": node}},
        )
        await self._make(
            "/apis/resource.k8s.io/v1/resourceslices",
            {"metadata": {"name": name}, **self.resource_slice(node)},
        )

    async def _make(self, path: str, document: Document) -> Document:
        answer = await self._api.post(path, document)
        assert answer.code == 201, answer.body
        made: Document = answer.json
        return made

    async def table(self) -> AsyncIterator[tuple[Row, dict[str, str]]]:
        """Yield each row with the letters of everybody, by their titles."""
        for row in rows(self._catalogue.resources):
            yield (
                row,
                {asker.title: await self._letters(asker, row) for asker in (*ASKERS, *CONTROLLERS)},
            )

    async def _letters(self, asker: Asker, row: Row) -> str:
        letters = [
            letter
            for verb, letter in LETTERS.items()
            if verb in row.verbs and await self._may(asker, verb, row)
        ]
        return "".join(letters)

    async def _may(self, asker: Asker, verb: str, row: Row) -> bool:
        namespace, name = row.target(asker.node)
        is_of_one = bool(row.sub) or verb in ("get", "update", "patch", "delete")
        path = row.resource.path(namespace, name if is_of_one else None, row.sub)
        if verb in ("list", "watch", "deletecollection"):
            is_of_node = row.resource.plural in ("pods", "resourceslices") and not row.sub
            selected = ("spec.nodeName", asker.node) if is_of_node else None
            key, value = selected or ("metadata.name", name)
            path += f"?fieldSelector={key}={value}"
            path += "&watch=1" if verb == "watch" else ""
        method, body = METHODS.get(verb, "GET"), None
        if method != "GET":
            path += f"{'&' if '?' in path else '?'}dryRun=All"
            body = await self._body(asker, verb, row)
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        answer = await self._api.open(
            method, path, body, user=asker.user, content_type=content_type
        )
        if isinstance(answer, StreamResponse):
            answer.source.begin(lambda: None)
            answer.source.close()
            return True
        assert answer.status != 401
        assert answer.status < 500 or row.sub == "proxy", answer.body
        return answer.status != 403

    async def _body(self, asker: Asker, verb: str, row: Row) -> Document:
        """Return what is sent: what is there already, or the least that may be made."""
        namespace, name = row.target(asker.node)
        if verb in ("delete", "deletecollection"):
            return {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}
        if verb == "patch":
            return {}
        if verb == "update" and row.sub in ("", "status", "resize", "ephemeralcontainers"):
            found = await self._api.get(row.resource.path(namespace, name))
            if found.code == 200:
                present: Document = found.json
                return present
        part = row.resource.subresource(row.sub)
        group = part.group if part is not None and part.group else row.resource.group
        version = part.version if part is not None and part.version else row.resource.version
        kind = part.kind if part is not None and part.kind else row.resource.kind
        document = {
            "apiVersion": f"{group}/{version}" if group else version,
            "kind": kind,
            "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        }
        special = _BODIES.get((row.resource.plural, row.sub))
        return document | special(self, asker.node) if special else document

    def mirror_pod(self, node: str) -> Document:
        """Return what makes a pod one that stands for a file on its node."""
        owner = {
            "apiVersion": "v1",
            "kind": "Node",
            "name": node,
            "uid": self.uids[node],
            "controller": True,
        }
        metadata = {"name": "mirror", "annotations": MIRROR, "ownerReferences": [owner]}
        containers = [{"name": "c", "image": "nginx"}]
        return {"metadata": metadata, "spec": {"nodeName": node, "containers": containers}}

    def token(self, node: str) -> Document:
        """Return a wish for the token of a pod."""
        name = f"of-{node}"
        pod = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": self.uids[name]}
        return {"metadata": {}, "spec": {"boundObjectRef": pod, "expirationSeconds": 3607}}

    def resource_slice(self, node: str) -> Document:
        """Return what says which devices a node has."""
        pool = {"name": node, "resourceSliceCount": 1}
        return {"spec": {"driver": "gpu.example.com", "pool": pool, "nodeName": node}}

    def binding(self, node: str) -> Document:
        """Return what puts a pod on a node."""
        return {"target": {"apiVersion": "v1", "kind": "Node", "name": node}}


_BODIES: dict[tuple[str, str], Callable[[Cluster, str], Document]] = {
    ("bindings", ""): Cluster.binding,
    ("pods", ""): Cluster.mirror_pod,
    ("pods", "binding"): Cluster.binding,
    ("resourceslices", ""): Cluster.resource_slice,
    ("serviceaccounts", "token"): Cluster.token,
}


async def _paths(api: Api) -> AsyncIterator[tuple[str, list[str]]]:
    for path in PATHS:
        cells = []
        for asker in ASKERS:
            answer = await api.get(path, user=asker.user)
            cells.append("-" if answer.code == 403 else "g")
        yield path, cells


def _lines(table: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield "  ".join(padded).rstrip()


async def matrix() -> str:
    """Return the whole table."""
    api = await Api(allow_anonymous=True).start()
    cluster = Cluster(api)
    await cluster.prepare()
    titles = [asker.title for asker in ASKERS]
    table = [["RESOURCE", "VERBS", *titles]]
    of_controllers: dict[str, list[list[str]]] = {asker.title: [] for asker in CONTROLLERS}
    async for row, letters in cluster.table():
        served = "".join(letter for verb, letter in LETTERS.items() if verb in row.verbs)
        table.append([row.title, served, *(letters[title] or "-" for title in titles)])
        for asker in CONTROLLERS:
            if letters[asker.title] != letters["ACCOUNT"]:
                of_controllers[asker.title].append([row.title, letters[asker.title]])
    paths = [["PATH", *titles]]
    async for path, cells in _paths(api):
        paths.append([path, *cells])
    lines = [*HEAD.splitlines(), "", *_lines(table), "", *_lines(paths)]
    lines += ["", "Controllers, besides what every service account may:"]
    for name, rights in of_controllers.items():
        lines += ["", name, *(f"    {line}" for line in _lines(rights))]
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    print(asyncio.run(matrix()), end="")
