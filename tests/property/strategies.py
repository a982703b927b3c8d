"""Hypothesis strategies: small clusters in which everything has to do with everything."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from kubeberth.api.core import Node, Pod

ZONE, HOST, DISK = "topology.kubernetes.io/zone", "kubernetes.io/hostname", "disk"
NODE_NAMES = [f"node-{index}" for index in range(6)]
NAMESPACES = ["default", "other", "third"]
POD_KEYS = ["app", "tier"]

Document = dict[str, Any]


def _documents(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries({}, optional=fields)


pod_labels = _documents(app=st.sampled_from(["a", "b"]), tier=st.sampled_from(["x", "y"]))
namespace_labels = _documents(env=st.sampled_from(["prod", "dev"]))


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
    cpu=st.sampled_from(["0", "100m", "900m", "3"]),
    memory=st.sampled_from(["100Mi", "1Gi"]),
    **{"example.com/gpu": st.sampled_from(["1", "2"])},
)
containers = st.lists(
    requests.map(lambda amounts: {"resources": {"requests": amounts}}), min_size=1, max_size=2
)


@st.composite
def pods(draw: st.DrawFn, name: str) -> Pod:
    """Return a pod with any mixture of rules."""
    spec = draw(
        _documents(
            tolerations=tolerations,
            nodeSelector=st.dictionaries(
                st.just(ZONE), st.sampled_from(["zone-0", "zone-1"]), max_size=1
            ),
            affinity=_documents(
                nodeAffinity=node_affinity, podAffinity=pod_affinity, podAntiAffinity=pod_affinity
            ),
            initContainers=containers,
        )
    )
    document = {
        "metadata": {
            "name": name,
            "namespace": draw(st.sampled_from(NAMESPACES)),
            "labels": draw(pod_labels),
        },
        "spec": {"containers": draw(containers), **spec},
    }
    return msgspec.convert(document, Pod)


@st.composite
def nodes(draw: st.DrawFn, name: str) -> Node:
    """Return a node, small enough to fill up."""
    labels = draw(
        _documents(
            **{
                ZONE: st.sampled_from(["zone-0", "zone-1", "zone-2"]),
                HOST: st.sampled_from([name, "shared"]),
                DISK: st.sampled_from(["ssd", "7", "07"]),
            }
        )
    )
    allocatable = draw(
        st.fixed_dictionaries(
            {
                "cpu": st.sampled_from(["1", "4", "0"]),
                "memory": st.sampled_from(["2Gi", "8Gi"]),
                "pods": st.sampled_from(["2", "10"]),
            },
            optional={"example.com/gpu": st.sampled_from(["1", "4"])},
        )
    )
    spec = {"unschedulable": draw(st.sampled_from([False, False, True])), "taints": draw(taints)}
    document = {
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"allocatable": allocatable},
    }
    return msgspec.convert(document, Node)
