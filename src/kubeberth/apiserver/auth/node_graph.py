"""What each node has to do with: kept from the store's events, asked by the node authorizer.

    Rule 1  A pod that is bound lets its node read it and what it refers to, until the pod is gone;
            a mirror pod, which the node makes itself, only itself.
    Rule 2  A volume is read by those who read its claim, and so are the secrets it is mounted with.
    Rule 3  An attachment of a volume, and a slice of resources, is read by the node it names.
    Rule 4  What is named need not be there: names are related, not objects.

Matches `plugin/pkg/auth/authorizer/node` (`graph.go`, `graph_populator.go`) of Kubernetes 1.36.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from kubeberth.api.pod_references import ReferringPod, ReferringVolume
from kubeberth.api.scheme import (
    CONFIG_MAPS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    VOLUME_ATTACHMENTS,
)
from kubeberth.apiserver.objects import object_json
from kubeberth.apiserver.storage.store import Entry, StoreEvent, Told, bucket_of

logger = logging.getLogger(__name__)

# Not served yet, but pods may name them already, and slices belong to nodes.
RESOURCE_CLAIMS = "resourceclaims.resource.k8s.io"
RESOURCE_SLICES = "resourceslices.resource.k8s.io"


class Vertex(NamedTuple):
    """An object by its resource, as messages name it, its namespace and its name."""

    resource: str
    namespace: str
    name: str


class Grant(NamedTuple):
    """What an object lets one node read."""

    node: str
    vertices: frozenset[Vertex]


class Volume(NamedTuple):
    """Whose claim a persistent volume is for, and the secrets it is mounted with."""

    claim: Vertex
    secrets: frozenset[Vertex]


class _NodeSpec(msgspec.Struct, rename="camel"):
    node_name: str | None = ""


class _OnNode(msgspec.Struct):
    """An object that names its node."""

    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)


class _ClaimNames(msgspec.Struct, rename="camel"):
    resource_claim_statuses: msgspec.Raw = msgspec.Raw()
    extended_resource_claim_status: msgspec.Raw = msgspec.Raw()


class _Annotations(msgspec.Struct):
    annotations: msgspec.Raw = msgspec.Raw()


class _Outline(msgspec.Struct):
    """Of a pod, unparsed, all that says what it refers to."""

    metadata: _Annotations = msgspec.field(default_factory=_Annotations)
    spec: msgspec.Raw = msgspec.Raw()
    status: _ClaimNames | None = None


_decode_outline = msgspec.json.Decoder(_Outline).decode
_decode_pod = msgspec.json.Decoder(ReferringPod).decode
_decode_volume = msgspec.json.Decoder(ReferringVolume).decode
_decode_on_node = msgspec.json.Decoder(_OnNode).decode
K = TypeVar("K", bound=Hashable)


class Counts(Generic[K]):
    """How often each of two things are related, by the first."""

    def __init__(self) -> None:
        self._counts: defaultdict[K, Counter[Any]] = defaultdict(Counter)

    def of(self, first: K) -> Mapping[Any, int]:
        """Return what a thing is related to."""
        return self._counts.get(first, _NOTHING)

    def add(self, first: K, second: Any, n: int) -> None:
        """Count a relation, or (-1) take it away."""
        counts = self._counts[first]
        counts[second] += n
        if not counts[second]:
            del counts[second]
            if not counts:
                del self._counts[first]


_NOTHING: Mapping[Any, int] = {}


class NodeGraph:
    """Answers which node may read what; follows a store."""

    def __init__(self, store: Told) -> None:
        self._grants: dict[str, Grant] = {}
        self._volumes: dict[str, Volume] = {}
        self._readers: Counts[Vertex] = Counts()  # vertex to nodes
        self._claims: Counts[str] = Counts()  # node to claims
        self._mounted: Counts[Vertex] = Counts()  # secret to claims, through volumes
        buckets = (*_READ, _VOLUMES)
        for bucket in buckets:
            for entry in store.entries(f"{bucket}/"):
                self._take(entry.key, entry.value)
        store.subscribe(self._follow, *buckets)

    def reaches(self, node: str, vertex: Vertex) -> bool:
        """Return whether a node may read an object of that name."""
        if node in self._readers.of(vertex):
            return True
        if vertex.resource == PERSISTENT_VOLUMES.group_resource:
            volume = self._volumes.get(f"{_VOLUMES}/{vertex.name}")
            return volume is not None and node in self._readers.of(volume.claim)
        if vertex.resource != SECRETS.group_resource:
            return False
        # One secret may be that of all volumes of a cluster, one node has few claims: whatever is
        # less is gone through.
        mounted, own = self._mounted.of(vertex), self._claims.of(node)
        fewer, more = sorted((mounted, own), key=len)
        return any(claim in more for claim in fewer)

    def _follow(self, event: StoreEvent) -> None:
        new, old = event.entry, event.previous
        if new is None:
            self._forget(event.key)
        # Most writes by far tell how a pod is, and change nothing here.
        elif old is None or event.bucket != PODS.storage_key or not _refers_as_before(new, old):
            self._take(event.key, new.value)

    def _take(self, key: str, value: bytes) -> None:
        """Take in what an object is now."""
        bucket = bucket_of(key)
        try:
            if bucket == _VOLUMES:
                self._replace_volume(key, _volume_of(value))
            else:
                self._replace_grant(key, _READ[bucket](key, value))
        except msgspec.DecodeError:
            # What cannot be read opens nothing, and must not keep others from being written.
            logger.exception("cannot tell what an object refers to", extra={"key": key})
            self._forget(key)

    def _forget(self, key: str) -> None:
        if bucket_of(key) == _VOLUMES:
            self._replace_volume(key, None)
        else:
            self._replace_grant(key, None)

    def _replace_grant(self, key: str, new: Grant | None) -> None:
        old = self._grants.get(key)
        if new == old:
            return
        if new is not None:
            self._count_grant(new, 1)
            self._grants[key] = new
        if old is not None:
            self._count_grant(old, -1)
            if new is None:
                del self._grants[key]

    def _count_grant(self, grant: Grant, n: int) -> None:
        for vertex in grant.vertices:
            self._readers.add(vertex, grant.node, n)
            if vertex.resource == PERSISTENT_VOLUME_CLAIMS.group_resource:
                self._claims.add(grant.node, vertex, n)

    def _replace_volume(self, key: str, new: Volume | None) -> None:
        old = self._volumes.get(key)
        if new == old:
            return
        if new is not None:
            self._count_volume(new, 1)
            self._volumes[key] = new
        if old is not None:
            self._count_volume(old, -1)
            if new is None:
                del self._volumes[key]

    def _count_volume(self, volume: Volume, n: int) -> None:
        for secret in volume.secrets:
            self._mounted.add(secret, volume.claim, n)


_VOLUMES = PERSISTENT_VOLUMES.storage_key
_ACCOUNTS = SERVICE_ACCOUNTS.group_resource
_SECRETS = SECRETS.group_resource
_CONFIG_MAPS = CONFIG_MAPS.group_resource
_CLAIMS = PERSISTENT_VOLUME_CLAIMS.group_resource


def _refers_as_before(new: Entry, old: Entry) -> bool:
    """Return whether a pod refers to the same as before, as far as that is told without parsing."""
    try:
        return _outline(new) == _outline(old)
    except msgspec.DecodeError:
        return False


def _outline(entry: Entry) -> _Outline:
    return _decode_outline(object_json(entry.value))


def _pod_grant(key: str, value: bytes) -> Grant | None:
    """Return what a pod lets its node read."""
    if b'"nodeName":' not in value:
        return None  # what a new pod is spared for
    pod = _decode_pod(object_json(value))
    if not pod.spec.node_name:
        return None
    return Grant(pod.spec.node_name, frozenset(_vertices_of(pod)))


def _vertices_of(pod: ReferringPod) -> Iterator[Vertex]:
    namespace = pod.metadata.namespace
    yield Vertex(PODS.group_resource, namespace, pod.metadata.name)
    # The node makes mirror pods itself: they must not open anything to it.
    if pod.is_mirror:
        return
    if pod.spec.service_account_name:
        yield Vertex(_ACCOUNTS, namespace, pod.spec.service_account_name)
    for resource, names in (
        (_SECRETS, pod.secrets()),
        (_CONFIG_MAPS, pod.config_maps()),
        (_CLAIMS, pod.claims()),
        (RESOURCE_CLAIMS, pod.resource_claims() if pod.spec.resource_claims or pod.status else ()),
    ):
        for name in names:
            if name:
                yield Vertex(resource, namespace, name)


def _own_grant(key: str, value: bytes) -> Grant | None:
    """Return what an object without a namespace lets the node read that it names: itself."""
    node = _decode_on_node(object_json(value)).spec.node_name
    bucket, _, name = key.partition("/")
    return Grant(node, frozenset((Vertex(bucket, "", name),))) if node else None


def _volume_of(value: bytes) -> Volume | None:
    volume = _decode_volume(object_json(value))
    claim = volume.spec.claim_ref
    if claim is None:
        return None
    return Volume(
        Vertex(PERSISTENT_VOLUME_CLAIMS.group_resource, claim.namespace, claim.name),
        frozenset(
            Vertex(SECRETS.group_resource, secret.namespace, secret.name)
            for secret in volume.kubelet_secrets()
        ),
    )


# By the first part of the store's key.
_READ: dict[str, Callable[[str, bytes], Grant | None]] = {
    PODS.storage_key: _pod_grant,
    VOLUME_ATTACHMENTS.storage_key: _own_grant,
    RESOURCE_SLICES: _own_grant,
}
