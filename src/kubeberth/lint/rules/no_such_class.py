"""A class is named that there is not.

Pods with a `priorityClassName` or `runtimeClassName` that does not exist are refused when they are
made, which a Deployment tells in its events only; claims with such a `storageClassName` stay
pending, and the pods that use them, too. Classes are looked for in the manifests and in the
cluster, if that is known to have any of the kind.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.near import did_you_mean
from kubeberth.lint.field import Field
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Subject
from kubeberth.lint.world import World

# Those that every cluster has.
_SYSTEM = {"PriorityClass": {"system-cluster-critical", "system-node-critical"}}


def _check(subject: Subject, world: World) -> Iterator[Problem]:
    workload = subject.workload
    if workload is not None:
        spec = workload.spec
        yield from _of_name(spec.at("priorityClassName"), "PriorityClass", world)
        yield from _of_name(spec.at("runtimeClassName"), "RuntimeClass", world)
    for claim in subject.root.each("spec", "volumeClaimTemplates"):
        yield from _of_name(claim.at("spec", "storageClassName"), "StorageClass", world)
    if subject.kind == "PersistentVolumeClaim":
        yield from _of_name(subject.root.at("spec", "storageClassName"), "StorageClass", world)


def _of_name(field: Field, kind: str, world: World) -> Iterator[Problem]:
    names = world.names_of(kind) | _SYSTEM.get(kind, set())
    if field.text and field.text not in names and world.cluster_tells_of(kind):
        yield Problem(field, f"there is no {kind} {field.text}{did_you_mean(field.text, names)}")


RULE = Rule("KB503", "no-such-class", Severity.ERROR, __doc__, of_object=_check, needs_cluster=True)
