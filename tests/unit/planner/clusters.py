"""Clusters and manifests in a line or two."""

from __future__ import annotations

import io
from typing import Any

import yaml

from kubeberth.planner.manifests import read
from kubeberth.planner.plan import Plan
from kubeberth.planner.planning import Task, make_plan
from kubeberth.planner.questions import Questions

Document = dict[str, Any]

ADMISSION = "admissionregistration.k8s.io/v1"


def node(name: str, zone: str = "", cpu: str = "4", **labels: str) -> Document:
    given = {"kubernetes.io/hostname": name, **labels}
    if zone:
        given["topology.kubernetes.io/zone"] = zone
    there = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": given},
        "status": {"allocatable": there, "capacity": there},
    }


def zones(n_nodes: int = 3, cpu: str = "4") -> list[Document]:
    """Return so many nodes, in zones a, b, c and so forth in turn; three zones at most."""
    return [node(f"n{i + 1}", "abc"[i % 3], cpu) for i in range(n_nodes)]


def template(
    app: str,
    cpu: str = "1",
    image: str = "nginx",
    container: Document | None = None,
    **spec: Any,
) -> Document:
    """Return a pod's template; `container` has what else there is to say of its container."""
    first: Document = {"name": "c", "image": image, "resources": {"requests": {"cpu": cpu}}}
    spec = {"containers": [{**first, **(container or {})}], **spec}
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


def workload(kind: str, name: str, replicas: int | None = None, **given: Any) -> Document:
    """Return an object of the apps group; what is not of a pod's spec is of its own."""
    own = {k: given.pop(k) for k in list(given) if k in _OWN}
    spec = {
        "selector": {"matchLabels": {"app": name}},
        "template": template(name, **given),
        **({} if replicas is None else {"replicas": replicas}),
        **own,
    }
    if kind == "StatefulSet":
        spec.setdefault("serviceName", name)
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


_OWN = (
    "strategy",
    "updateStrategy",
    "podManagementPolicy",
    "volumeClaimTemplates",
    "serviceName",
    "minReadySeconds",
    "paused",
    "progressDeadlineSeconds",
    "revisionHistoryLimit",
    "ordinals",
    "persistentVolumeClaimRetentionPolicy",
)


def deployment(name: str, replicas: int, **given: Any) -> Document:
    return workload("Deployment", name, replicas, **given)


def pod(name: str, cpu: str = "1", node_name: str = "", **spec: Any) -> Document:
    made = template(name, cpu, **spec)
    if node_name:
        made["spec"]["nodeName"] = node_name
    made["metadata"]["name"] = name
    return {"apiVersion": "v1", "kind": "Pod", **made}


def priority_class(name: str, value: int) -> Document:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
    }


def budget(name: str, least: int | str) -> Document:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": name}}},
    }


def as_file(*documents: Document, name: str = "app.yaml") -> io.StringIO:
    text = io.StringIO(yaml.safe_dump_all(documents))
    text.name = name
    return text


def plan(cluster: list[Document], *documents: Document, **questions: Any) -> Plan:
    """Return the plan of some manifests, and of some questions."""
    wanted = read([as_file(*documents)])
    return make_plan(Task(cluster, wanted, Questions(**questions)))


def where(found: Plan) -> dict[str, str | None]:
    """Return the nodes of the planned pods, by name."""
    return {pod.pod.removeprefix("default/"): pod.node for pod in found.pods}


def as_stored(api_version: str, kind: str, name: str, **fields: Any) -> Document:
    """Return an object of a cluster."""
    meta = {"name": name, "uid": name, "resourceVersion": "1"}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **fields}


def policy(
    expression: str,
    resource: str = "deployments",
    *,
    kind: str = "Validating",
    name: str = "rules",
    **spec: Any,
) -> list[Document]:
    """Return a policy, and what binds it."""
    group = "apps" if resource == "deployments" else ""
    rule = {
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": [resource],
    }
    binding: Document = {"policyName": name, "validationActions": spec.pop("actions", ["Deny"])}
    for field in ("paramRef", "matchResources"):
        if field in spec:
            binding[field] = spec.pop(field)
    if kind == "Mutating":
        binding.pop("validationActions")
        change = {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}
        says: Document = {"mutations": [change], "reinvocationPolicy": "Never"}
    else:
        says = {"validations": [{"expression": expression, "message": "not so"}]}
    whole = {"matchConstraints": {"resourceRules": [rule]}, **says, **spec}
    return [
        as_stored(ADMISSION, f"{kind}AdmissionPolicy", name, spec=whole),
        as_stored(ADMISSION, f"{kind}AdmissionPolicyBinding", "binding", spec=binding),
    ]
