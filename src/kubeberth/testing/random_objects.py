"""Small nodes and pods by chance, among which most rules find something to say."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from kubeberth.api.core import Node, Pod
from kubeberth.api.node_labels import HOSTNAME, ZONE


def random_node(random: Random, name: str) -> Node:
    """Return a node of one of a few sizes, in one of two zones."""
    labels = {HOSTNAME: name, ZONE: random.choice(["zone-a", "zone-b"])}
    if random.random() < 0.5:
        labels["disktype"] = random.choice(["ssd", "hdd"])
    taints: list[dict[str, str]] = []
    if random.random() < 0.25:
        effect = random.choice(["NoSchedule", "PreferNoSchedule"])
        taints.append({"key": "dedicated", "value": "x", "effect": effect})
    allocatable = {
        "cpu": random.choice(["2", "4"]),
        "memory": random.choice(["4Gi", "8Gi"]),
        "pods": random.choice(["4", "110"]),
    }
    if random.random() < 0.3:
        allocatable["example.com/gpu"] = "2"
    document = {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints, "unschedulable": random.random() < 0.1},
        "status": {"allocatable": allocatable},
    }
    return msgspec.convert(document, Node)


def random_pod(random: Random, name: str) -> Pod:
    """Return a small pod, now and then with a selector, a toleration or a host port."""
    requests = {
        "cpu": random.choice(["0", "100m", "1"]),
        "memory": random.choice(["0", "200Mi", "1Gi"]),
    }
    if random.random() < 0.2:
        requests["example.com/gpu"] = "1"
    container: dict[str, Any] = {"name": "main", "resources": {"requests": requests}}
    if random.random() < 0.2:
        container["ports"] = [{"containerPort": 80, "hostPort": 8080}]
    spec: dict[str, Any] = {"containers": [container], "priority": random.choice([0, 10])}
    if random.random() < 0.2:
        spec["nodeSelector"] = {"disktype": "ssd"}
    if random.random() < 0.3:
        spec["tolerations"] = [{"key": "dedicated", "operator": "Exists"}]
    document = {
        "metadata": {
            "name": name,
            "namespace": random.choice(["default", "guests"]),
            "labels": {"app": random.choice(["web", "db"])},
        },
        "spec": spec,
    }
    return msgspec.convert(document, Pod)
