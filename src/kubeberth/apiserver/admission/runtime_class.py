"""RuntimeClass: a pod takes over overhead and scheduling of its runtime class.

Matches `plugin/pkg/admission/runtimeclass` of Kubernetes 1.36.
"""

from __future__ import annotations

from typing import Any

from kubeberth.api.quantity import parse_quantity
from kubeberth.api.scheme import PODS, RUNTIME_CLASSES
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin, Reader


class RuntimeClass(Plugin):
    """Fills in what the class says, and refuses what contradicts it."""

    resources = (PODS,)

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def admit(self, attributes: Attributes) -> None:
        """Fill in a new pod."""
        pod = attributes.document
        if pod is None or attributes.operation != "CREATE":
            return
        spec = pod["spec"]
        found = self._class_of(attributes, spec)
        self._fill_in_overhead(attributes, spec, found)
        if found is not None:
            self._fill_in_scheduling(attributes, spec, found.get("scheduling") or {})

    def _class_of(self, attributes: Attributes, spec: Document) -> Document | None:
        name = spec.get("runtimeClassName")
        if not name:
            return None
        found = self._reader.find(RUNTIME_CLASSES, "", name)
        if found is None:
            raise attributes.forbid(f'pod rejected: RuntimeClass "{name}" not found')
        return found

    def _fill_in_overhead(
        self, attributes: Attributes, spec: Document, found: Document | None
    ) -> None:
        asked = spec.get("overhead")
        defined = ((found or {}).get("overhead") or {}).get("podFixed")
        if defined is None:
            if asked:
                raise attributes.forbid(
                    "pod rejected: Pod Overhead set without corresponding RuntimeClass defined "
                    "Overhead"
                )
            return
        if asked and _amounts(asked) != _amounts(defined):
            raise attributes.forbid(
                "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
            )
        spec["overhead"] = defined

    def _fill_in_scheduling(
        self, attributes: Attributes, spec: Document, scheduling: dict[str, Any]
    ) -> None:
        labels = dict(spec.get("nodeSelector") or {})
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if labels.setdefault(key, value) != value:
                raise attributes.forbid(
                    f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                    f"pod.spec.nodeSelector[{key}] = {labels[key]}"
                )
        if labels:
            spec["nodeSelector"] = labels
        tolerations = list(spec.get("tolerations") or [])
        missing = [t for t in scheduling.get("tolerations") or () if t not in tolerations]
        if missing:
            spec["tolerations"] = tolerations + missing


def _amounts(resources: dict[str, str]) -> dict[str, int]:
    return {name: parse_quantity(amount).nanos for name, amount in resources.items()}
