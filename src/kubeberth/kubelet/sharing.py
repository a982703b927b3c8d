"""What kubelets remember of pods and Nodes: equal parts once, and nothing that nobody asks for.

The pods of a workload differ in little more than their names, and thousands of nodes that run tens
of thousands of them are one process.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from hashlib import blake2b
from typing import Generic, TypeVar

import msgspec

from kubeberth.api.core import ContainerStatus, Node, PodStatus
from kubeberth.api.meta import ApiStruct, Condition, ObjectMeta
from kubeberth.kubelet.pod import KubeletPod, KubeletPodSpec, decode_kubelet_pod

T = TypeVar("T")

# Who gets beyond it starts anew: then a few parts are kept twice.
MAX_PARTS = 20_000

_encode = msgspec.json.Encoder().encode
_replace = msgspec.structs.replace


def _digest(part: object) -> bytes:
    return blake2b(_encode(part), digest_size=16).digest()


def _itself(part: Hashable) -> Hashable:
    return part


class Shared(Generic[T]):
    """Parts of one type, by what they say.

    Parameters
    ----------
    key
        Returns what is equal for parts that say the same.
    """

    def __init__(self, key: Callable[[T], Hashable] = _digest) -> None:
        self._key = key
        self._parts: dict[Hashable, T] = {}

    def __call__(self, part: T) -> T:
        """Return a part that says the same, the very one that others have."""
        key = self._key(part)
        known = self._parts.get(key)
        if known is not None:
            return known
        if len(self._parts) >= MAX_PARTS:
            self._parts.clear()
        self._parts[key] = part
        return part


_specs: Shared[KubeletPodSpec] = Shared()
_texts: Shared[dict[str, str]] = Shared()
_owners: Shared[tuple[ApiStruct, ...]] = Shared()
_words: Shared[str] = Shared(_itself)
_conditions: Shared[tuple[Condition, ...]] = Shared(_itself)
_states: Shared[ContainerStatus] = Shared()
_statuses: Shared[PodStatus] = Shared(lambda status: (status.phase, status.conditions))


class _Status(ApiStruct, frozen=True):
    phase: str = ""
    conditions: tuple[Condition, ...] = ()


class _Pod(ApiStruct, frozen=True):
    """Of a pod, what changes although its spec does not."""

    metadata: ObjectMeta = ObjectMeta()
    status: _Status = _Status()


_decode_news = msgspec.json.Decoder(_Pod).decode


def shared_conditions(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Return conditions that say the same, the very ones that other pods have."""
    return _conditions(conditions)


def remembered(raw: bytes, known: Callable[[str], KubeletPod | None]) -> KubeletPod:
    """Return what a kubelet remembers of a pod.

    Parameters
    ----------
    raw
        The pod as JSON.
    known
        Returns what the kubelet remembers of the pod of a UID that it has taken over already: how
        the containers of that one are, it knows better than the API.
    """
    news = _decode_news(raw)
    meta, old = news.metadata, known(news.metadata.uid)
    if old is None:
        return first_remembered(decode_kubelet_pod(raw))
    # The spec of a pod changes with its generation; a server that counts none may have changed it.
    is_same = meta.generation and meta.generation == old.metadata.generation
    spec = old.spec if is_same else _spec(decode_kubelet_pod(raw).spec)
    status = PodStatus(phase=news.status.phase, conditions=_conditions(news.status.conditions))
    return KubeletPod(metadata=_meta(meta, old.metadata), spec=spec, status=_statuses(status))


def first_remembered(pod: KubeletPod) -> KubeletPod:
    """Return what a kubelet remembers of a pod that it has not taken over yet."""
    status = _replace(
        pod.status,
        host_ip="",
        pod_ips=(),
        conditions=_conditions(pod.status.conditions),
        container_statuses=tuple(map(_bare, pod.status.container_statuses)),
    )
    return KubeletPod(
        metadata=_meta(pod.metadata, pod.metadata), spec=_spec(pod.spec), status=status
    )


def remembered_node(node: Node, labels: Mapping[str, str]) -> Node:
    """Return what a kubelet remembers of its Node: all but what it says of itself each time.

    Parameters
    ----------
    labels
        What the Node's are most often; then it has these very ones.
    """
    meta, status = node.metadata, node.status
    return _replace(
        node,
        metadata=_replace(
            meta,
            labels=labels if meta.labels == labels else meta.labels,
            annotations=_texts(meta.annotations),
        ),
        status=_replace(
            status,
            capacity=_texts(status.capacity),
            allocatable=_texts(status.allocatable),
            addresses=(),
            images=(),
            conditions=_conditions(
                tuple(_replace(one, last_heartbeat_time=None) for one in status.conditions)
            ),
        ),
    )


def _meta(meta: ObjectMeta, named: ObjectMeta) -> ObjectMeta:
    """Return what is remembered of metadata, with the very name and UID that others know of it."""
    created = meta.creation_timestamp
    return _replace(
        meta,
        name=named.name,
        uid=named.uid,
        namespace=_words(meta.namespace),
        generate_name="",
        creation_timestamp=created and _words(created),
        labels=_texts(meta.labels),
        annotations=_texts(meta.annotations),
        owner_references=_owners(meta.owner_references),
    )


def _spec(spec: KubeletPodSpec) -> KubeletPodSpec:
    """Return a spec without what differs between pods of one template."""
    return _specs(_replace(spec, node_name="", hostname="", volumes=()))


def _bare(status: ContainerStatus) -> ContainerStatus:
    """Return of a container's status what its kubelet could not tell by itself."""
    return _states(
        ContainerStatus(
            name=status.name,
            ready=status.ready,
            started=status.started,
            restart_count=status.restart_count,
            state=status.state,
            last_state=status.last_state,
        )
    )
