"""A pod uses a claim that there is not.

It stays pending until somebody makes the PersistentVolumeClaim, in the same namespace. Looked at
are the manifests and the cluster, if that is known to have claims.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.near import did_you_mean
from kubeberth.lint.rule import Problem, Rule, Severity
from kubeberth.lint.subject import Workload
from kubeberth.lint.world import World

_KIND = "PersistentVolumeClaim"


def _check(workload: Workload, world: World) -> Iterator[Problem]:
    if not world.cluster_tells_of(_KIND):
        return
    names = world.names_of(_KIND, workload.namespace)
    for volume in workload.spec.each("volumes"):
        field = volume.at("persistentVolumeClaim", "claimName")
        if field.text and field.text not in names:
            hint = did_you_mean(field.text, names)
            where = f"in namespace {workload.namespace}"
            yield Problem(field, f"there is no {_KIND} {field.text} {where}{hint}")


RULE = Rule(
    "KB504", "no-such-claim", Severity.WARNING, __doc__, of_workload=_check, needs_cluster=True
)
