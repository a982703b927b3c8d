"""Edits as kubectl commands, to be copied."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from typing import Any

from kubeberth.api.core import Pod, Taint
from kubeberth.placement.remedies.edit import Edit

_HASH = "pod-template-hash"
# Kinds that make new pods once their template has changed.
_ROLLED_OUT = ("Deployment", "StatefulSet", "DaemonSet")

Document = dict[str, Any]


def commands(pod: Pod, edits: Iterable[Edit], patch: Document) -> tuple[str, ...]:
    """Return what carries edits out: first in the cluster, then on the pod, which goes by that.

    Parameters
    ----------
    patch
        What the edits change in the pod's spec.
    """
    return (*(e.command for e in edits if e.command), *(_on_pod(pod, patch) if patch else ()))


def workload_of(pod: Pod) -> tuple[str, str]:
    """Return kind and name of what makes a pod; of the pod itself when nothing does.

    A ReplicaSet that is named like one of a Deployment is taken for one.
    """
    owner = pod.metadata.controller
    if owner is None:
        return "Pod", pod.metadata.name
    suffix = f"-{pod.metadata.labels.get(_HASH, '')}"
    if owner.kind == "ReplicaSet" and len(suffix) > 1 and owner.name.endswith(suffix):
        return "Deployment", owner.name.removesuffix(suffix)
    return owner.kind, owner.name


def label_node(node: str, key: str, value: str | None, *, overwrites: bool) -> str:
    """Return the command that gives a node a label; None takes it away."""
    label = f"{key}-" if value is None else f"{key}={value}"
    return f"kubectl label node {node} {label}" + (" --overwrite" if overwrites else "")


def untaint_node(node: str, taint: Taint) -> str:
    """Return the command that takes a taint off a node."""
    return f"kubectl taint node {node} {taint.key}:{taint.effect}-"


def create_priority_class(name: str, value: int) -> str:
    """Return the command that makes a priority class."""
    return f"kubectl create priorityclass {name} --value={value}"


def delete_pod(key: str) -> str:
    """Return the command that deletes a pod."""
    namespace, _, name = key.partition("/")
    return f"kubectl delete pod {name}{_in(namespace)}"


def _on_pod(pod: Pod, patch: Document) -> Iterator[str]:
    kind, name = workload_of(pod)
    where = _in(pod.metadata.namespace)
    if set(patch) == {"schedulingGates"}:
        gone = [{"op": "remove", "path": "/spec/schedulingGates"}]
        me = pod.metadata.name
        yield f"kubectl patch pod {me}{where} --type=json -p {_quoted(gone)}"
    elif kind in _ROLLED_OUT:
        body = {"spec": {"template": {"spec": patch}}}
        yield f"kubectl patch {kind.lower()} {name}{where} -p {_quoted(body)}"
        if kind == "StatefulSet":
            # Its rollouts wait for each pod, and this one would never be ready.
            yield delete_pod(pod.metadata.key)
    elif kind == "Pod":
        # What a pod is placed by cannot be changed once it exists; another one takes its place.
        yield (
            f"kubectl get pod {name}{where} -o json "
            f"| kubectl patch --local -f - -o json -p {_quoted({'spec': patch})} "
            "| kubectl replace --force -f -"
        )


def _quoted(document: object) -> str:
    return shlex.quote(json.dumps(document, separators=(",", ":")))


def _in(namespace: str) -> str:
    return "" if namespace == "default" else f" -n {namespace}"
