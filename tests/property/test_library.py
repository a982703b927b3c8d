"""A cluster in memory: forks go their own ways, and what is refused leaves no trace."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.property.storage_strategies import storage_objects
from tests.property.strategies import nodes, pods
from tests.unit.library.builders import any_object, node, pod, priority_class

from kubeberth import Cluster, InvalidObjectError, NoSuchObjectError
from kubeberth.api.core import Node, Pod
from kubeberth.api.storage import StorageObject

Document = dict[str, Any]

NODE_NAMES = [f"node-{index}" for index in range(5)]
N_STEPS = 25


def as_stored(item: Any, name: str = "") -> Any:
    """Return an object as if a server had admitted it: these are about rules, not validation."""
    meta = msgspec.structs.replace(
        item.metadata, resource_version="1", name=name or item.metadata.name
    )
    return msgspec.structs.replace(item, metadata=meta)


def look(cluster: Cluster, probes: list[Pod]) -> tuple[Any, ...]:
    """Return all that can be seen of a cluster."""
    decisions = [cluster.decide(probe) for probe in probes]
    tables = [(str(e), e) for e in map(cluster.explain, probes)]
    return repr(cluster), cluster.nodes, cluster.pods, cluster.pending, decisions, tables


class Meddler:
    """Does one thing after the other to a cluster."""

    def __init__(self, cluster: Cluster, templates: list[Pod], looks: list[Node], seed: int):
        self.cluster, self.templates, self.looks = cluster, templates, looks
        self.random = Random(seed)
        self.n_pods = 0

    def run(self, n_steps: int = N_STEPS) -> None:
        steps = (
            self.place,
            self.place,
            self.put_node,
            self.evict,
            self.drain,
            self.remove,
            self.add_node,
            self.place_pending,
            self.remove_node,
        )
        for _ in range(n_steps):
            self.random.choice(steps)()

    def place(self) -> None:
        self.n_pods += 1
        template = self.random.choice(self.templates)
        decision = self.cluster.place(as_stored(template, f"pod-{id(self)}-{self.n_pods}"))
        if decision.nomination is not None and self.random.random() < 0.5:
            self.cluster.preempt(decision)

    def place_pending(self) -> None:
        for _ in self.cluster.place_all():
            pass

    def put_node(self) -> None:
        self.cluster.put(as_stored(self.random.choice(self.looks)))

    def some_node(self) -> str:
        return self.random.choice([entry.name for entry in self.cluster.nodes] or ["none"])

    def some_pod(self) -> str:
        return self.random.choice([p.metadata.key for p in self.cluster.pods] or ["none"])

    def evict(self) -> None:
        self._or_nothing(self.cluster.evict, self.some_pod())

    def drain(self) -> None:
        self._or_nothing(self.cluster.drain, self.some_node())

    def remove(self) -> None:
        self._or_nothing(self.cluster.remove, f"Pod/{self.some_pod()}")

    def remove_node(self) -> None:
        self._or_nothing(self.cluster.remove, f"Node/{self.some_node()}")

    def add_node(self) -> None:
        if self.cluster.nodes and len(self.cluster.nodes) < 12:
            self.cluster.add_node(like=self.some_node(), name="added")

    @staticmethod
    def _or_nothing(act: Any, name: str) -> None:
        if name.endswith("none"):
            with pytest.raises(NoSuchObjectError):
                act(name)
        else:
            act(name)


@given(
    templates=st.lists(pods("template"), min_size=5, max_size=5),
    looks=st.tuples(*(nodes(name) for name in NODE_NAMES)),
    stored=st.lists(storage_objects(NODE_NAMES), max_size=15),
    seeds=st.tuples(st.integers(0, 2**32), st.integers(0, 2**32), st.integers(0, 2**32)),
)
@settings(
    max_examples=60,
    # Too long for shrinking to come to an end.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_what_happens_to_a_fork_does_not_touch_its_origin_nor_the_other_way_round(
    templates: list[Pod],
    looks: tuple[Node, ...],
    stored: list[StorageObject],
    seeds: tuple[int, int, int],
) -> None:
    origin = Cluster(map(as_stored, looks), seed=seeds[0] % 100)
    for item in stored:
        origin.put(as_stored(item))
    Meddler(origin, templates, list(looks), seeds[0]).run()
    probes = [as_stored(template, f"probe-{i}") for i, template in enumerate(templates)]
    before = look(origin, probes)
    fork = origin.fork()
    assert look(fork, probes) == before
    Meddler(fork, templates, list(looks), seeds[1]).run()
    assert look(origin, probes) == before
    after = look(fork, probes)
    Meddler(origin, templates, list(looks), seeds[2]).run()
    assert look(fork, probes) == after


TERM = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "web"}}}
EXPRESSION = {"key": "disk", "operator": "In", "values": ["ssd"]}
VALID: list[Document] = [
    node("a", taints=[{"key": "gpu", "value": "x", "effect": "NoSchedule"}])
    | {"status": {"capacity": {"cpu": "1"}, "images": [{"names": ["nginx"], "sizeBytes": 5}]}},
    pod("next", cpu="2"),
    pod(
        "web",
        nodeName="a",
        affinity={
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [EXPRESSION]}]
                },
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 3, "preference": {"matchExpressions": [EXPRESSION]}}
                ],
            },
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [TERM],
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 3, "podAffinityTerm": TERM}
                ],
            },
        },
        tolerations=[{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        topologySpreadConstraints=[
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]},
                "matchLabelKeys": ["rev"],
            }
        ],
        volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
        nodeSelector={"disk": "ssd"},
    ),
    priority_class("high", 10, globalDefault=False),
    any_object("Namespace", "default"),
    any_object("Service", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
    any_object(
        "StatefulSet",
        "web",
        "apps/v1",
        spec={
            "selector": {"matchLabels": {"app": "web"}},
            "serviceName": "web",
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": "nginx"}]},
            },
        },
    ),
    any_object(
        "PodDisruptionBudget",
        "web",
        "policy/v1",
        spec={"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        status={
            "disruptionsAllowed": 1,
            "currentHealthy": 2,
            "desiredHealthy": 1,
            "expectedPods": 2,
            "disruptedPods": {"web": "2026-01-01T00:00:00Z"},
        },
    ),
    any_object(
        "PersistentVolume",
        "disk",
        spec={
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/x"},
            "nodeAffinity": {
                "required": {"nodeSelectorTerms": [{"matchExpressions": [EXPRESSION]}]}
            },
        },
    ),
    any_object(
        "PersistentVolumeClaim",
        "data",
        spec={
            "accessModes": ["ReadWriteOnce"],
            "selector": {"matchLabels": {"a": "b"}},
            "resources": {"requests": {"storage": "1Gi"}},
        },
    ),
    any_object(
        "StorageClass",
        "fast",
        "storage.k8s.io/v1",
        provisioner="ebs",
        allowedTopologies=[{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}],
    ),
    any_object(
        "CSINode",
        "a",
        "storage.k8s.io/v1",
        spec={"drivers": [{"name": "ebs", "nodeID": "i", "allocatable": {"count": 3}}]},
    ),
    any_object("CSIDriver", "ebs", "storage.k8s.io/v1", spec={"storageCapacity": True}),
    any_object(
        "CSIStorageCapacity",
        "here",
        "storage.k8s.io/v1",
        storageClassName="fast",
        capacity="10Gi",
        nodeTopology={"matchLabels": {"zone": "a"}},
    ),
    any_object(
        "VolumeAttachment",
        "va",
        "storage.k8s.io/v1",
        spec={"attacher": "ebs", "nodeName": "a", "source": {"persistentVolumeName": "disk"}},
    ),
]
JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    "",
    "-1",
    "1e9999",
    "a b",
    "x" * 300,
    "\ud800",
    [],
    [None],
    [1],
    {},
    {"": ""},
    {"a": None},
    {"a": {"b": []}},
    [{}],
    object(),
    "99999999999999999999Ei",
]


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything in a document but itself."""
    entries = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [p for key, item in entries for p in ((*path, key), *paths(item, (*path, key)))]


def damaged(document: Document, random: Random) -> Document:
    """Return a document with junk in it, or something missing."""
    broken = copy.deepcopy(document)
    *parents, last = random.choice(paths(broken))
    holder: Any = broken
    for key in parents:
        holder = holder[key]
    match random.randrange(4):
        case 0:
            del holder[last]
        case 1 if isinstance(holder, dict):
            holder[f"{last}-"] = random.choice(JUNK)
        case _:
            holder[last] = random.choice(JUNK)
    return broken


@given(seed=st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_whatever_is_put_is_taken_in_or_refused_without_a_trace(seed: int) -> None:
    random = Random(seed)
    cluster = Cluster(VALID)
    probes = [as_stored(entry, f"probe-{i}") for i, entry in enumerate(cluster.pods)]
    for _ in range(10):
        broken = damaged(random.choice(VALID), random)
        before = look(cluster, probes)
        copied = cluster.fork()
        try:
            cluster.put(broken)
            look(cluster, probes)
        except InvalidObjectError:
            assert look(cluster, probes) == before
        assert look(copied, probes) == before
