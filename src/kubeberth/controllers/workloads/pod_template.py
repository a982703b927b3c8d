"""Pods as their controllers make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubeberth.controllers.action import ObjectRef


def pod_from_template(owner: ObjectRef, template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pod that an owner makes of its template."""
    given = template.get("metadata") or {}
    kept = {key: given[key] for key in ("labels", "annotations", "finalizers") if given.get(key)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **kept,
            "generateName": f"{owner.name}-",
            "namespace": owner.namespace,
            "ownerReferences": [owner.owner_reference()],
        },
        "spec": template.get("spec") or {},
    }
