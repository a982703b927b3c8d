"""The documentation's examples, one command after the other, each outcome checked.

`make demo` prints what happens; the end-to-end tests run the same steps with several kubectls.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
PENDING_REASON = (
    "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. "
    "no new claims to deallocate, preemption: 0/3 nodes are available: "
    "3 No preemption victims found for incoming pod."
)
DEADLINE_S = 20.0


class OutcomeError(Exception):
    """A step did not end as the documentation says."""


@dataclass(frozen=True)
class Kubectl:
    """One kubectl program, working on one cluster, with a HOME of its own."""

    program: str
    kubeconfig: Path
    home: Path

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command line that begins with the word kubectl."""
        word, *arguments = shlex.split(command)
        assert word == "kubectl"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig),
            "TZ": "UTC",
        }
        return subprocess.run(
            [self.program, *arguments],
            cwd=FOLDER,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def items(self, what: str) -> list[dict]:
        """Return the objects that `kubectl get WHAT -o json` lists."""
        found = self.run(f"kubectl get {what} -o json")
        if found.returncode:
            raise OutcomeError(found.stderr.strip())
        document = json.loads(found.stdout)
        return document.get("items", [document])


@dataclass(frozen=True)
class Step:
    """Some commands to show, and what must hold after them."""

    title: str
    commands: tuple[str, ...]
    outcome: str
    holds: Callable[[Kubectl], bool]


def _node_of(kubectl: Kubectl, pod: str) -> str:
    return kubectl.items(f"pod {pod}")[0]["spec"].get("nodeName", "")


def _is_running(kubectl: Kubectl, pod: str) -> bool:
    return kubectl.items(f"pod {pod}")[0]["status"]["phase"] == "Running"


def _runs_on(pod: str, node: str) -> Callable[[Kubectl], bool]:
    return lambda kubectl: _node_of(kubectl, pod) == node and _is_running(kubectl, pod)


def _is_one_on_every_node(kubectl: Kubectl) -> bool:
    nodes = sorted(node["metadata"]["name"] for node in kubectl.items("nodes"))
    caches, servers = (
        sorted(pod["spec"].get("nodeName", "") for pod in kubectl.items(f"pods -l app={app}"))
        for app in ("store", "web-store")
    )
    return caches == servers == nodes


def _is_ensemble_spread(kubectl: Kubectl) -> bool:
    members = {pod["metadata"]["name"]: pod for pod in kubectl.items("pods -l app=zk")}
    nodes = {pod["spec"].get("nodeName") for pod in members.values()}
    [budget] = kubectl.items("poddisruptionbudgets zk-pdb")
    allowed = budget.get("status", {}).get("disruptionsAllowed")
    return members.keys() == {"zk-0", "zk-1", "zk-2"} and len(nodes) == 3 and allowed == 1


def _is_fourth_pending(kubectl: Kubectl) -> bool:
    pods = kubectl.items("pods -l app=web-store")
    pending = [pod for pod in pods if not pod["spec"].get("nodeName")]
    messages = [
        condition.get("message")
        for pod in pending
        for condition in pod["status"].get("conditions", [])
        if condition["type"] == "PodScheduled"
    ]
    return len(pods) == 4 and messages == [PENDING_REASON]


STEPS = (
    Step(
        "Three nodes, each in a zone of its own",
        ("kubectl get nodes -L topology.kubernetes.io/zone",),
        "all three are Ready",
        lambda kubectl: len(kubectl.items("nodes")) == 3,
    ),
    Step(
        "nodeSelector: label a node, and a pod that asks for the label goes there",
        (
            "kubectl label nodes kube-02 disktype=ssd",
            "kubectl get nodes -L disktype",
            "kubectl apply -f node-selector.yaml",
            "kubectl wait --for=condition=Ready pod/nginx --timeout=20s",
            "kubectl get pods -o wide",
        ),
        "nginx runs on kube-02, the node with disktype=ssd",
        _runs_on("nginx", "kube-02"),
    ),
    Step(
        "Node affinity: e2e-az1 or e2e-az2 required, another label preferred",
        (
            "kubectl label nodes kube-01 kubernetes.io/e2e-az-name=e2e-az1",
            "kubectl label nodes kube-03 kubernetes.io/e2e-az-name=e2e-az2"
            " another-node-label-key=another-node-label-value",
            "kubectl apply -f node-affinity.yaml",
            "kubectl wait --for=condition=Ready pod/with-node-affinity --timeout=20s",
            "kubectl get pod with-node-affinity -o wide",
        ),
        "with-node-affinity runs on kube-03: allowed by its zone, preferred for its other label",
        _runs_on("with-node-affinity", "kube-03"),
    ),
    Step(
        "Pod affinity: in a zone with S1, rather not in one with S2",
        (
            "kubectl apply -f security.yaml",
            "kubectl wait --for=condition=Ready pod -l security --timeout=20s",
            "kubectl apply -f pod-affinity.yaml",
            "kubectl wait --for=condition=Ready pod/with-pod-affinity --timeout=20s",
            "kubectl get pods -L security -o wide",
        ),
        "with-pod-affinity runs on kube-01: S1 is in zones a and b, but b has S2 too",
        _runs_on("with-pod-affinity", "kube-01"),
    ),
    Step(
        "A cache and a web server on every node",
        (
            "kubectl apply -f redis-cache.yaml",
            "kubectl apply -f web-server.yaml",
            "kubectl rollout status deployment/redis-cache --timeout=20s",
            "kubectl rollout status deployment/web-server --timeout=20s",
            "kubectl get pods -l 'app in (store, web-store)' -o wide",
        ),
        "every node runs exactly one cache and one web server",
        _is_one_on_every_node,
    ),
    Step(
        "A fourth web server has nowhere to go",
        ("kubectl scale deployment web-server --replicas=4",),
        "it stays Pending, and says why",
        _is_fourth_pending,
    ),
    Step(
        "Why it is pending",
        (
            "kubectl get pods -l app=web-store",
            "kubectl get events --field-selector reason=FailedScheduling"
            " -o custom-columns=REASON:.reason,MESSAGE:.message",
        ),
        "the reason is kube-scheduler's own text",
        lambda kubectl: PENDING_REASON in kubectl.run("kubectl get events").stdout,
    ),
    Step(
        "nodeName: no scheduler involved",
        (
            "kubectl apply -f node-name.yaml",
            "kubectl wait --for=condition=Ready pod/nginx-by-name --timeout=20s",
            "kubectl get pod nginx-by-name -o wide",
        ),
        "nginx-by-name runs on kube-01, as it said",
        _runs_on("nginx-by-name", "kube-01"),
    ),
    Step(
        "A ZooKeeper ensemble: three members, one after the other, never two on a node",
        (
            "kubectl apply -f zookeeper.yaml",
            "kubectl rollout status statefulset/zk --timeout=30s",
            "kubectl get pods -l app=zk -o wide",
            "kubectl get poddisruptionbudgets",
        ),
        "zk-0, zk-1 and zk-2 run on three nodes, and one of them may go at a time",
        _is_ensemble_spread,
    ),
    Step(
        "Changing a label under a running pod",
        (
            "kubectl label nodes kube-02 disktype=hdd --overwrite",
            "kubectl get pod nginx -o wide",
        ),
        "nginx keeps running on kube-02: node selection is ignored during execution",
        _runs_on("nginx", "kube-02"),
    ),
)


def walk(kubectl: Kubectl, say: Callable[[str], None]) -> None:
    """Take all steps.

    Raises
    ------
    OutcomeError
        At the first outcome that is not the documented one.
    """
    for number, step in enumerate(STEPS, 1):
        say(f"\n{number}. {step.title}\n")
        for command in step.commands:
            say(f"$ {command}")
            done = kubectl.run(command)
            say((done.stdout + done.stderr).rstrip() + "\n")
            if done.returncode:
                raise OutcomeError(f"`{command}` ended with exit code {done.returncode}")
        _await(kubectl, step)
        say(f"=> {step.outcome}")


def _await(kubectl: Kubectl, step: Step) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not step.holds(kubectl):
        if time.monotonic() > deadline:
            raise OutcomeError(f"not so after {DEADLINE_S:.0f} s: {step.outcome}")
        time.sleep(0.1)
