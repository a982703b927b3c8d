"""Why the pods of a plan are where they are."""

from __future__ import annotations

import io
from typing import Any

import pytest
import yaml
from tests.unit.planner.clusters import deployment, pod, zones

from kubeberth.errors import UsageError
from kubeberth.placement.why import Why
from kubeberth.planner.manifests import read
from kubeberth.planner.planning import Task, carry_out
from kubeberth.planner.why import WorkloadWhy, why_in_plan

Document = dict[str, Any]


def ask(target: str, cluster: list[Document], *manifests: Document) -> Why | WorkloadWhy:
    wanted = read([io.StringIO(yaml.safe_dump_all(manifests))])
    return why_in_plan(carry_out(Task(cluster, wanted))[0], "default", target)


@pytest.mark.parametrize("target", ["deployment/web", "deploy/web", "Deployments/web"])
def test_of_a_workload_one_pod_is_asked_about_for_each_reason(target: str) -> None:
    found = ask(target, zones(1), deployment("web", 6, cpu="1"))
    assert isinstance(found, WorkloadWhy)
    assert (len(found.placed), len(found.pending), len(found.whys)) == (4, 2, 1)
    assert found.whys[0].remedies
    text = str(found)
    assert text.startswith("Deployment/web: 6 pods, 4 with a node, 2 pending\n  on n1 x4\n")
    assert "What would help, the smallest change first:" in text


def test_a_placed_one_tells_what_put_it_ahead_of_the_next_best_node() -> None:
    found = ask("deploy/web", zones(2), deployment("web", 1, cpu="1"))
    assert isinstance(found, WorkloadWhy)
    assert found.whys[0].state == "placed"
    assert "n2 is as good" in str(found)


def test_a_pod_that_has_ended_says_so() -> None:
    over = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default", "uid": "u", "resourceVersion": "1"},
        "spec": {"nodeName": "n1", "containers": []},
        "status": {"phase": "Failed", "reason": "OutOfcpu", "message": "no room"},
    }
    found = ask("p", [*zones(1), over])
    assert isinstance(found, Why)
    assert found.state == "ended"
    assert "(Failed), and takes nothing any more; OutOfcpu: no room" in found.message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("full", "it has ended (Failed), and takes nothing any more; OutOfcpu: Pod was rejected: "),
        ("late", 'no kubelet runs it: node "n2" is not ready'),
        ("lost", 'no kubelet runs it: there is no node "n3"'),
    ],
)
def test_a_pod_that_its_node_does_not_run_says_so(name: str, message: str) -> None:
    nodes = zones(2)
    nodes[1]["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    pods = [
        pod("full", "9", node_name="n1"),
        pod("late", node_name="n2"),
        pod("lost", node_name="n3"),
    ]
    assert ask(name, nodes, *pods).message.startswith(message)  # type: ignore[union-attr]


def test_what_is_not_there_is_said_with_what_may_be_meant() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "search-0"},
        "spec": {"containers": [{"name": "c", "image": "nginx"}]},
    }
    with pytest.raises(UsageError, match=r'"serach-0" not found .*; did you mean search-0'):
        ask("serach-0", zones(1), pod)
    with pytest.raises(UsageError, match="Deployment/web has no pods, or is not there"):
        ask("deploy/web", zones(1))
    with pytest.raises(UsageError, match='"service" is nothing that makes pods'):
        ask("service/web", zones(1))
