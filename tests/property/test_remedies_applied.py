"""What is said to help does help, whoever does it: commands are carried out, manifests applied.

The cluster is one that a plan has come to. What a remedy says is done to its objects, as kubectl
would, and the controllers and the scheduler of the plan go on from there.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.property.planned_worlds import CLAIM_SPEC, CLASSES, pod_specs, releases
from tests.unit.planner.clusters import as_file, node, template, workload

from kubeberth.api import schema
from kubeberth.api.core import Pod
from kubeberth.api.machines import cordoned
from kubeberth.api.scheme import NODES, PODS, PRIORITY_CLASSES, Resource
from kubeberth.apiserver.patch.strategic import apply_strategic_patch
from kubeberth.placement.remedies.remedy import Remedy
from kubeberth.placement.why import Why
from kubeberth.planner.kinds import TYPES, WORKLOADS
from kubeberth.planner.manifests import read
from kubeberth.planner.planning import RefusedError, Task, carry_out
from kubeberth.planner.snapshot import as_json
from kubeberth.planner.why import why_in_plan
from kubeberth.planner.world import World

Document = dict[str, Any]

ASKED = "asked-lone"
NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
DEDICATED = {"key": "dedicated", "value": "x", "effect": "NoSchedule"}


@st.composite
def nodes(draw: st.DrawFn) -> list[Document]:
    """Return a few nodes, some of them closed for one reason or other."""
    found = []
    for index in range(draw(st.integers(1, 4))):
        labels = draw(st.sampled_from([{}, {"disk": "ssd"}, {"disk": "hdd"}]))
        made = node(
            f"n{index}", draw(st.sampled_from("ab")), draw(st.sampled_from("234")), **labels
        )
        taints = draw(
            st.sampled_from([[], [], [], [NOT_READY], [DEDICATED], [NOT_READY, DEDICATED]])
        )
        is_cordoned = draw(st.integers(0, 4)) == 0
        made["spec"] = {"taints": taints, **({"unschedulable": True} if is_cordoned else {})}
        found.append(made)
    return found


@st.composite
def asked_pods(draw: st.DrawFn) -> list[Document]:
    """Return a pod that may well fit nowhere, with a claim if it has one."""
    fields = draw(pod_specs("asked"))
    fields["cpu"] = draw(st.sampled_from([fields["cpu"], "3500m", "5"]))
    made: Document = {"apiVersion": "v1", "kind": "Pod", **template("asked", **fields)}
    made["metadata"]["name"] = ASKED
    if draw(st.integers(0, 3)) != 0:
        return [made]
    made["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    mode = draw(st.sampled_from(["WaitForFirstConsumer", "Immediate"]))
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "by-hand"},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": mode,
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {**CLAIM_SPEC, "storageClassName": "by-hand"},
    }
    return [storage_class, claim, made]


@st.composite
def asked_workloads(draw: st.DrawFn) -> list[Document]:
    """Return a workload of one pod, or of one on each node, that may well fit nowhere."""
    fields = draw(pod_specs("asked"))
    fields["cpu"] = draw(st.sampled_from([fields["cpu"], "3500m", "5"]))
    kind = draw(st.sampled_from(["Deployment", "StatefulSet", "DaemonSet"]))
    return [workload(kind, "asked", None if kind == "DaemonSet" else 1, **fields)]


def contents(world: World) -> list[Document]:
    """Return what is in a cluster, but for workloads and their pods without a node.

    They would take the room that is made for others.
    """
    return [
        {
            **world.objects.document(resource, item.metadata.key),
            "apiVersion": resource.api_version,
            "kind": resource.kind,
        }
        for resource in TYPES
        if resource not in WORKLOADS
        for item in world.objects.all(resource)
        if resource is not PODS or item.spec.node_name
    ]


class Kubectl:
    """Does to the objects of a plan what commands say."""

    def __init__(self, world: World) -> None:
        self._world, self._objects = world, world.objects

    def run(self, command: str) -> None:
        words = shlex.split(command)
        match words[1:]:
            case ["label", "node", name, label, *_]:
                key, is_set, value = label.partition("=")
                labels = {key: value} if is_set else {key.removesuffix("-"): None}
                self._objects.patch(NODES, name, {"metadata": {"labels": labels}})
            case ["taint", "node", name, taint]:
                self.untaint(name, lambda t: f"{t['key']}:{t['effect']}-" == taint)
            case ["uncordon", name]:
                changed = cordoned(self._objects.get(NODES, name), is_cordoned=False)
                self._objects.put(NODES, as_json(changed))
            case ["delete", "pod", name]:
                self._objects.delete(PODS, f"default/{name}")
            case ["create", "priorityclass", name, value]:
                manifest = {"metadata": {"name": name}, "value": int(value.partition("=")[2])}
                self._objects.create(PRIORITY_CLASSES, manifest)
            case ["patch", "pod", name, "--type=json", "-p", patch]:
                assert json.loads(patch) == [{"op": "remove", "path": "/spec/schedulingGates"}]
                self._objects.patch(PODS, f"default/{name}", {"spec": {"schedulingGates": None}})
            case ["patch", kind, name, "-p", patch]:
                maker = next(each for each in WORKLOADS if each.kind.lower() == kind)
                told = json.loads(patch)
                self._objects.patch(maker, f"default/{name}", told, strategic=True)
            case ["get", "pod", name, *piped] if "replace" in piped:
                self._replace(name, json.loads(piped[piped.index("-p") + 1]))
            case _:
                raise ValueError(command)

    def untaint(self, name: str, is_meant: Any) -> None:
        document = self._objects.document(NODES, name)
        kept = [t for t in document["spec"].get("taints", ()) if not is_meant(t)]
        assert len(kept) < len(document["spec"]["taints"])
        self._objects.patch(NODES, name, {"spec": {"taints": kept}})

    def apply(self, manifest: Document) -> None:
        self._objects.apply(resource_of(manifest), manifest)

    def _replace(self, name: str, patch: Document) -> None:
        key = f"default/{name}"
        old = self._objects.document(PODS, key)
        new = apply_strategic_patch(old, patch, schema.definition_of("v1", "Pod"))
        del new["status"]
        self._objects.remove(PODS, key)
        self._world.control.run()  # quotas hear that it is gone
        self._objects.create(PODS, new)


def resource_of(manifest: Document) -> Resource:
    return next(
        r for r in TYPES if (r.api_version, r.kind) == (manifest["apiVersion"], manifest["kind"])
    )


def carry_out_remedy(world: World, remedy: Remedy) -> None:
    """Do what a remedy says, as somebody would who reads it."""
    kubectl = Kubectl(world)
    for manifest in remedy.objects:
        kubectl.apply(manifest)
    for command in (line for lines in remedy.commands for line in lines.splitlines()):
        kubectl.run(command)
    if "repair-node" in remedy.kinds:
        words = remedy.text.replace(",", "").replace(";", "").split()
        repaired = [words[i + 2] for i in range(len(words)) if words[i : i + 2] == ["to", "node"]]
        for name in repaired:
            kubectl.untaint(name, lambda taint: taint["key"] == NOT_READY["key"])


def asked_about(world: World) -> list[Pod]:
    """Return the pods in question; those without a node first."""
    pods = (pod for pod in world.objects.all(PODS) if pod.metadata.labels.get("app") == "asked")
    return sorted(pods, key=lambda pod: bool(pod.spec.node_name))


def is_held_back(world: World) -> bool:
    """Return whether a quota has no room for the pod that a rollout makes beside the old one."""
    return any("exceeded quota" in trouble.message for trouble in world.control.troubles)


def check_remedies(
    given_nodes: list[Document], manifests: list[Document], asked: list[Document]
) -> None:
    """Do what is suggested for a pod, or the first one of a workload, each thing by itself."""
    cluster = [*given_nodes, *CLASSES]
    try:
        around, _ = carry_out(Task(cluster, read([as_file(*manifests)])))
        cluster = contents(around)
        world, _ = carry_out(Task(cluster, read([as_file(*asked)])))
    except RefusedError:
        assume(False)
    names = [pod.metadata.name for pod in asked_about(world)]
    assume(names)
    why = why_in_plan(world, "default", names[0])
    assert isinstance(why, Why)
    if why.state == "placed":
        assert not why.remedies
    for remedy in why.remedies:
        after, _ = carry_out(Task(cluster, read([as_file(*asked)])))
        carry_out_remedy(after, remedy)
        after.settle()
        if is_held_back(after):
            continue
        assert remedy.node in [pod.spec.node_name for pod in asked_about(after)], remedy


@given(nodes(), releases(), asked_pods())
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_in_a_whole_cluster_every_suggestion_gives_the_pod_its_node(
    given_nodes: list[Document], manifests: list[Document], asked: list[Document]
) -> None:
    check_remedies(given_nodes, manifests, asked)


@given(nodes(), releases(), asked_workloads())
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_what_is_suggested_for_a_pod_of_a_workload_is_done_to_the_workload(
    given_nodes: list[Document], manifests: list[Document], asked: list[Document]
) -> None:
    check_remedies(given_nodes, manifests, asked)
