"""What `berth plan` says is what happens: random workloads, planned, applied, and compared."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

import pytest
import yaml

from tests.e2e.test_lifecycle import wait_for
from tests.unit.planner.clusters import deployment, priority_class, workload

pytestmark = pytest.mark.e2e

N_WORKLOADS = 7


def random_workload(chance: Random, number: int):
    """Return a workload of any kind, with rules of any kind."""
    name = f"w{number}"
    selector = {"matchLabels": {"app": name}}
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": selector,
    }
    apart = {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}
    rules = chance.choice(
        [
            {},
            {"topologySpreadConstraints": [spread]},
            {"affinity": {"podAntiAffinity": required}},
            {"affinity": {"podAffinity": required}},
            {"nodeSelector": {"topology.kubernetes.io/zone": "zone-b"}},
            {"priorityClassName": "urgent"},
        ]
    )
    given = {"cpu": chance.choice(["100m", "700m", "1500m"]), "terminationGracePeriodSeconds": 0}
    size = chance.randint(1, 8)
    match chance.choice(["Deployment", "Deployment", "StatefulSet", "DaemonSet"]):
        case "Deployment":
            return deployment(name, size, **given, **rules)
        case "StatefulSet":
            policy = chance.choice(["OrderedReady", "Parallel"])
            return workload("StatefulSet", name, size, podManagementPolicy=policy, **given, **rules)
        case _:
            return workload("DaemonSet", name, **given)


def shape_of(nodes, zone_of):
    """Return where pods are, up to which of equal nodes and zones it is."""
    placed = Counter(node for node in nodes if node)
    zones = Counter(zone_of[node] for node in placed.elements())
    return sorted(placed.values()), sorted(zones.values()), sum(node is None for node in nodes)


@pytest.mark.parametrize("seed", [1, 2])
def test_workloads_land_as_planned(berth, tmp_path, seed):
    berth.up("--nodes", "6", "--zones", "3")
    kubectl, chance = berth.kubectl(), Random(seed)
    zone_of = {
        node["metadata"]["name"]: node["metadata"]["labels"]["topology.kubernetes.io/zone"]
        for node in kubectl.items("nodes")
    }
    path = tmp_path / "workload.yaml"
    path.write_text(yaml.safe_dump(priority_class("urgent", 1000)))
    kubectl.run(f"kubectl apply -f {path}")
    for number in range(N_WORKLOADS):
        path.write_text(yaml.safe_dump(random_workload(chance, number)))
        planned = json.loads(berth.run("plan", "-f", str(path), "-o", "json", check=False).stdout)
        own = [pod for pod in planned["pods"] if pod["pod"].startswith(f"default/w{number}-")]
        expected = shape_of([pod["node"] for pod in own], zone_of)
        assert kubectl.run(f"kubectl apply -f {path}").returncode == 0

        def is_as_planned(number=number, expected=expected):
            pods = kubectl.items(f"pods -l app=w{number}")
            return shape_of([pod["spec"].get("nodeName") for pod in pods], zone_of) == expected

        wait_for(is_as_planned)
