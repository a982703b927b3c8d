"""Hypothesis strategies: small clusters in which everything has to do with everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st
from tests.property.storage_strategies import OWNER_UID, pod_volumes

from kubeberth.api.core import Node, Pod
from kubeberth.api.policy import PodDisruptionBudget

ZONE, HOST, DISK = "topology.kubernetes.io/zone", "kubernetes.io/hostname", "disk"
NODE_NAMES = [f"node-{index}" for index in range(6)]
NAMESPACES = ["default", "other", "third"]
POD_KEYS = ["app", "tier"]

Document = dict[str, Any]


def _documents(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries({}, optional=fields)


pod_labels = _documents(app=st.sampled_from(["a", "b"]), tier=st.sampled_from(["x", "y"]))
namespace_labels = _documents(env=st.sampled_from(["prod", "dev"]))
CONTROLLERS = [
    ("ReplicationController", "v1"),
    ("ReplicaSet", "apps/v1"),
    ("StatefulSet", "apps/v1"),
]
owner_references = st.builds(
    lambda kind, is_controller: {
        "kind": kind[0],
        "apiVersion": kind[1],
        "name": "owner",
        "controller": is_controller,
    },
    st.sampled_from([*CONTROLLERS, ("ReplicaSet", "example.com/v1")]),
    st.sampled_from([True, True, False]),
)


def label_selectors(keys: list[str], values: list[str]) -> st.SearchStrategy[Document]:
    expression = st.one_of(
        st.fixed_dictionaries(
            {
                "key": st.sampled_from(keys),
                "operator": st.sampled_from(["In", "NotIn"]),
                "values": st.lists(st.sampled_from(values), min_size=1, max_size=2),
            }
        ),
        st.fixed_dictionaries(
            {
                "key": st.sampled_from(keys),
                "operator": st.sampled_from(["Exists", "DoesNotExist"]),
            }
        ),
    )
    return _documents(
        matchLabels=st.dictionaries(st.sampled_from(keys), st.sampled_from(values), max_size=1),
        matchExpressions=st.lists(expression, max_size=2),
    )


pod_terms = st.fixed_dictionaries(
    {"topologyKey": st.sampled_from([ZONE, HOST, DISK])},
    optional={
        "labelSelector": label_selectors(POD_KEYS, ["a", "b", "x", "y"]),
        "namespaces": st.lists(st.sampled_from(NAMESPACES), max_size=2),
        "namespaceSelector": label_selectors(["env"], ["prod", "dev"]),
    },
)
weights = st.integers(1, 100)
pod_affinity = _documents(
    requiredDuringSchedulingIgnoredDuringExecution=st.lists(pod_terms, max_size=2),
    preferredDuringSchedulingIgnoredDuringExecution=st.lists(
        st.fixed_dictionaries({"weight": weights, "podAffinityTerm": pod_terms}), max_size=2
    ),
)
spread_constraints = st.lists(
    st.fixed_dictionaries(
        {
            "maxSkew": st.sampled_from([1, 1, 2, 3]),
            "topologyKey": st.sampled_from([ZONE, ZONE, HOST, HOST, DISK]),
            "whenUnsatisfiable": st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
        },
        optional={
            "labelSelector": label_selectors(POD_KEYS, ["a", "b", "x", "y"]),
            "nodeAffinityPolicy": st.sampled_from(["Honor", "Ignore"]),
            "nodeTaintsPolicy": st.sampled_from(["Honor", "Ignore"]),
            "matchLabelKeys": st.lists(st.sampled_from(POD_KEYS), max_size=1),
        },
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda entry: (entry["topologyKey"], entry["whenUnsatisfiable"]),
)
min_domains = st.sampled_from([1, 2, 4])
node_expressions = st.one_of(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from([ZONE, HOST, DISK]),
            "operator": st.sampled_from(["In", "NotIn"]),
            "values": st.lists(
                st.sampled_from(["zone-0", "zone-1", "node-1", "ssd", "7"]), min_size=1, max_size=2
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "key": st.sampled_from([ZONE, DISK]),
            "operator": st.sampled_from(["Exists", "DoesNotExist"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "key": st.just(DISK),
            "operator": st.sampled_from(["Gt", "Lt"]),
            "values": st.sampled_from([["6"], ["7"]]),
        }
    ),
)
node_terms = st.fixed_dictionaries(
    {"matchExpressions": st.lists(node_expressions, min_size=1, max_size=2)}
)
node_affinity = _documents(
    requiredDuringSchedulingIgnoredDuringExecution=st.fixed_dictionaries(
        {"nodeSelectorTerms": st.lists(node_terms, min_size=1, max_size=2)}
    ),
    preferredDuringSchedulingIgnoredDuringExecution=st.lists(
        st.fixed_dictionaries({"weight": weights, "preference": node_terms}), max_size=2
    ),
)
taints = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(["dedicated", "spot"]),
            "value": st.sampled_from(["", "x"]),
            "effect": st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"]),
        }
    ),
    max_size=2,
)
tolerations = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(["", "dedicated", "spot", "node.kubernetes.io/unschedulable"]),
            "operator": st.sampled_from(["Exists", "Equal"]),
            "value": st.sampled_from(["", "x"]),
            "effect": st.sampled_from(["", "NoSchedule", "PreferNoSchedule"]),
        }
    ),
    max_size=2,
)
requests = _documents(
    cpu=st.sampled_from(["100m", "900m", "0", "3"]),
    memory=st.sampled_from(["100Mi", "1Gi"]),
    **{"example.com/gpu": st.just("1"), "ephemeral-storage": st.just("1Gi")},
)
IMAGES = ["small:1", "big", "registry.example.com:5000/huge"]
containers = st.lists(
    st.builds(
        lambda amounts, image, actions: {
            "resources": {"requests": amounts},
            "image": image,
            "restartPolicyRules": [{"action": action} for action in actions],
        },
        requests,
        st.sampled_from(IMAGES),
        st.sampled_from([[], [], [], ["Restart"], ["RestartAllContainers"]]),
    ),
    min_size=1,
    max_size=2,
)
node_images = st.lists(
    st.builds(
        lambda name, size: {"names": [name, f"{name}@sha256:0"], "sizeBytes": size},
        st.sampled_from(["small:1", "big:latest", "registry.example.com:5000/huge:latest"]),
        st.sampled_from([10 * 2**20, 700 * 2**20, 9000 * 2**20]),
    ),
    max_size=2,
    unique_by=lambda image: image["names"][0],
)


def _some(rules: st.SearchStrategy[Document]) -> st.SearchStrategy[Document]:
    """Return rules that are seldom empty: an empty one tests nothing."""
    return st.one_of(rules.filter(bool), rules)


# What a pod is mostly about. A pod with every kind of rule at once fits nowhere, and then only the
# first rule of the row is tested.
_FLAVOURS: dict[str, st.SearchStrategy[Document]] = {
    "pods": _documents(
        affinity=_some(
            _documents(podAffinity=_some(pod_affinity), podAntiAffinity=_some(pod_affinity))
        ),
    ).filter(bool),
    "nodes": _documents(
        tolerations=tolerations,
        nodeSelector=st.dictionaries(st.just(ZONE), st.sampled_from(["zone-0", "zone-1"])),
        affinity=_some(_documents(nodeAffinity=_some(node_affinity))),
    ),
    "spread": st.fixed_dictionaries(
        {"topologySpreadConstraints": spread_constraints},
        optional={
            "tolerations": tolerations,
            "nodeSelector": st.dictionaries(st.just(ZONE), st.sampled_from(["zone-0", "zone-1"])),
            "affinity": _documents(nodeAffinity=node_affinity),
        },
    ),
    "members": st.just({}),
    "volumes": st.fixed_dictionaries({"volumes": pod_volumes}),
    "resources": _documents(initContainers=containers),
    "everything": _documents(
        tolerations=tolerations,
        affinity=_documents(
            nodeAffinity=node_affinity, podAffinity=pod_affinity, podAntiAffinity=pod_affinity
        ),
        topologySpreadConstraints=spread_constraints,
        initContainers=containers,
    ),
}
_START_TIMES = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-02T00:00:00Z"]
_LIKELY_FLAVOURS = ["pods", "pods", "spread", "spread", "members", "nodes", "volumes", *_FLAVOURS]
_SMALL = [{"resources": {"requests": {"cpu": "100m"}}}]


@st.composite
def pods(draw: st.DrawFn, name: str, flavours: Sequence[str] = _LIKELY_FLAVOURS) -> Pod:
    """Return a pod that is mostly about one kind of rule."""
    flavour = draw(st.sampled_from(flavours))
    spec = draw(_FLAVOURS[flavour])
    is_small = flavour not in ("resources", "everything")
    for entry in spec.get("topologySpreadConstraints", []):
        if entry["whenUnsatisfiable"] == "DoNotSchedule" and draw(st.integers(0, 3)) == 0:
            entry["minDomains"] = draw(min_domains)
    document = {
        "metadata": {
            "name": name,
            "uid": draw(st.sampled_from([OWNER_UID, "uid-of-another"])),
            "namespace": "default" if "volumes" in spec else draw(st.sampled_from(NAMESPACES)),
            "labels": draw(pod_labels),
            "ownerReferences": draw(st.lists(owner_references, max_size=1)),
        },
        "spec": {
            "containers": _SMALL if is_small else draw(containers),
            "priority": draw(st.sampled_from([0, 0, 10, 20])),
            "preemptionPolicy": draw(st.sampled_from([*["PreemptLowerPriority"] * 5, "Never"])),
            **spec,
        },
        "status": draw(_documents(startTime=st.sampled_from(_START_TIMES))),
    }
    return msgspec.convert(document, Pod)


@st.composite
def budgets(draw: st.DrawFn, name: str) -> PodDisruptionBudget:
    """Return a disruption budget."""
    document = {
        "metadata": {"name": name, "namespace": draw(st.sampled_from(NAMESPACES))},
        "spec": draw(_documents(selector=label_selectors(POD_KEYS, ["a", "b", "x", "y"]))),
        "status": {
            "disruptionsAllowed": draw(st.integers(0, 2)),
            "disruptedPods": draw(
                st.dictionaries(st.sampled_from([f"pod-{n}" for n in range(30)]), st.just(""))
            ),
        },
    }
    return msgspec.convert(document, PodDisruptionBudget)


@st.composite
def nodes(draw: st.DrawFn, name: str) -> Node:
    """Return a node, small enough to fill up."""
    labels = draw(
        st.fixed_dictionaries(
            {ZONE: st.sampled_from(["zone-0", "zone-1", "zone-2"])},
            optional={
                HOST: st.sampled_from([name, "shared"]),
                DISK: st.sampled_from(["ssd", "7", "07", ""]),
            },
        )
    )
    if draw(st.integers(0, 7)) == 0:
        del labels[ZONE]
    allocatable = draw(
        st.fixed_dictionaries(
            {
                "cpu": st.sampled_from(["8", "4", "8", "4", "1", "0"]),
                "memory": st.sampled_from(["8Gi", "16Gi", "2Gi"]),
                "pods": st.sampled_from(["10", "20", "10", "2"]),
            },
            optional={"example.com/gpu": st.just("4"), "ephemeral-storage": st.just("9Gi")},
        )
    )
    is_plain = draw(st.integers(0, 3)) > 0
    unschedulable = False if is_plain else draw(st.booleans())
    spec = {"unschedulable": unschedulable, "taints": [] if is_plain else draw(taints)}
    document = {
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {
            "allocatable": allocatable,
            "images": draw(node_images),
            "declaredFeatures": draw(
                st.sampled_from([[], ["RestartAllContainersOnContainerExits"], ["Other"]])
            ),
        },
    }
    return msgspec.convert(document, Node)


# Configurations


def _chosen(names: list[str], most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), max_size=most, unique=True)


def _named(names: list[str]) -> list[Document]:
    return [{"name": name} for name in names]


_FILTERS = ["TaintToleration", "NodeResourcesFit", "InterPodAffinity", "PodTopologySpread"]
_SCORES = [
    *_FILTERS,
    "NodeAffinity",
    "NodeResourcesBalancedAllocation",
]
_RESOURCES = ["cpu", "memory", "ephemeral-storage", "example.com/gpu"]
_shapes = st.lists(
    st.tuples(st.integers(0, 100), st.integers(0, 10)),
    min_size=1,
    max_size=4,
    unique_by=lambda point: point[0],
).map(lambda points: [{"utilization": u, "score": s} for u, s in sorted(points)])
_scored_resources = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(_RESOURCES), "weight": st.integers(1, 100)}),
    max_size=3,
    unique_by=lambda spec: spec["name"],
)
_scoring_strategies = st.one_of(
    _documents(
        type=st.sampled_from(["LeastAllocated", "MostAllocated"]), resources=_scored_resources
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("RequestedToCapacityRatio"),
            "requestedToCapacityRatio": st.fixed_dictionaries({"shape": _shapes}),
        },
        optional={"resources": _scored_resources},
    ),
)
_default_constraints = st.lists(
    st.fixed_dictionaries(
        {
            "topologyKey": st.sampled_from([ZONE, HOST]),
            "maxSkew": st.integers(1, 2),
            "whenUnsatisfiable": st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
        }
    ),
    max_size=2,
    unique_by=lambda entry: (entry["topologyKey"], entry["whenUnsatisfiable"]),
)
_arguments = _documents(
    NodeResourcesFit=_documents(
        scoringStrategy=_scoring_strategies,
        ignoredResources=st.just(["example.com/gpu"]),
        ignoredResourceGroups=st.just(["example.com"]),
    ),
    NodeResourcesBalancedAllocation=st.fixed_dictionaries(
        {"resources": _chosen(_RESOURCES, 4).map(_named)}
    ),
    NodeAffinity=st.fixed_dictionaries({"addedAffinity": node_affinity}),
    InterPodAffinity=_documents(
        hardPodAffinityWeight=st.sampled_from([0, 1, 100]),
        ignorePreferredTermsOfExistingPods=st.booleans(),
    ),
    PodTopologySpread=st.fixed_dictionaries(
        {"defaultingType": st.just("List"), "defaultConstraints": _default_constraints}
    ),
)


@st.composite
def profiles(draw: st.DrawFn) -> Document:
    """Return a profile of a configuration, mostly with something out of the ordinary."""
    weighted = draw(st.dictionaries(st.sampled_from(_SCORES), weights, max_size=3))
    enabled = [{"name": name, "weight": weight} for name, weight in weighted.items()]
    arguments = draw(_arguments)
    return {
        "plugins": {
            "multiPoint": {"enabled": enabled},
            "filter": {"disabled": _named(draw(_chosen(_FILTERS, 1)))},
            "score": {"disabled": _named(draw(_chosen(_SCORES, 2)))},
        },
        "pluginConfig": [{"name": name, "args": args} for name, args in arguments.items()],
    }
