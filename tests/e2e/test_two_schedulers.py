"""Two schedulers on one cluster: neither knows what the other is about to do.

What both of them put on a node is more than it has. Its kubelet refuses what does not fit, as every
kubelet does, and the scheduler counts it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import BERTH, Berth
from tests.e2e.test_lifecycle import pods, wait_for
from tests.e2e.test_scheduler_service import get

pytestmark = pytest.mark.e2e

NAMES = ("default-scheduler", "second")
CPUS = 4
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  schedulerName: {scheduler}
  containers: [{{name: main, image: nginx, resources: {{requests: {{cpu: "1"}}}}}}]
"""


@pytest.fixture
def second(berth: Berth) -> Iterator[int]:
    """Run another scheduler beside that of a cluster of three nodes, and give its pid."""
    berth.up("--nodes", "3")
    command = [str(BERTH), "scheduler", "--kubeconfig", str(berth.data / "kubeconfig")]
    command += ["--scheduler-name", "second", "--secure-port", "0"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        yield process.pid
        process.terminate()


def test_what_both_put_on_a_node_is_refused_by_its_kubelet_counted_and_shown(
    berth: Berth, second: int
) -> None:
    kubectl = berth.kubectl()
    wait_for(lambda: "second" in kubectl.run("kubectl get leases -n kube-system").stdout)
    both = (second, berth.pids()["scheduler"])
    names = [f"{scheduler[0]}{index}" for scheduler in NAMES for index in range(3 * CPUS)]
    # Both are to find all of their pods, and empty nodes.
    for pid in both:
        os.kill(pid, signal.SIGSTOP)
    path = berth.data / "pods.yaml"
    path.write_text(
        "---".join(POD.format(name=name, scheduler=NAMES[name.startswith("s")]) for name in names)
    )
    assert kubectl.run(f"kubectl apply -f {path}").returncode == 0
    for pid in both:
        os.kill(pid, signal.SIGCONT)

    wait_for(lambda: all(map(is_settled, pods(kubectl).values())))
    found = pods(kubectl)
    assert found.keys() == set(names)
    taken = Counter(
        pod["spec"]["nodeName"] for pod in found.values() if pod["status"]["phase"] == "Running"
    )
    assert taken == dict.fromkeys(taken, CPUS)
    assert len(taken) == 3
    refused = [name for name, pod in found.items() if pod["status"].get("reason") == "OutOfcpu"]
    assert refused
    shown = kubectl.run("kubectl get pods").stdout
    assert shown.count("OutOfcpu") == len(refused)
    _, metrics = get(berth, "/metrics", berth.data / "pki/admin.pem")
    counted = re.search(r"^kubeberth_scheduler_overcommits_total (\d+)", metrics, re.MULTILINE)
    assert counted
    assert int(counted[1]) > 0


def is_settled(pod: dict) -> bool:
    """Return whether a pod runs, was refused, or is told why it has no node."""
    status = pod["status"]
    if status["phase"] == "Pending":
        return any(entry.get("reason") == "Unschedulable" for entry in status.get("conditions", []))
    return status["phase"] in ("Running", "Failed")
