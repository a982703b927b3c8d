"""DefaultTolerationSeconds: every pod stays for five minutes on a node that stops answering.

Matches `plugin/pkg/admission/defaulttolerationseconds` of Kubernetes 1.36.
"""

from __future__ import annotations

from typing import Any

from kubeberth.api.scheme import PODS
from kubeberth.apiserver.admission.chain import Attributes, Plugin

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
SECONDS = 300


class DefaultTolerationSeconds(Plugin):
    """Adds the two tolerations, each unless the pod has one for that taint."""

    async def admit(self, attributes: Attributes) -> None:
        """Add to new and changed pods."""
        pod = attributes.document
        if pod is None or attributes.resource is not PODS or attributes.subresource:
            return
        tolerations = pod["spec"].get("tolerations", [])
        missing = [key for key in (NOT_READY, UNREACHABLE) if not _is_covered(key, tolerations)]
        added = [
            {
                "key": key,
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": SECONDS,
            }
            for key in missing
        ]
        if added:
            pod["spec"]["tolerations"] = [*tolerations, *added]


def _is_covered(key: str, tolerations: list[dict[str, Any]]) -> bool:
    return any(
        toleration.get("key", "") in (key, "") and toleration.get("effect", "") in ("NoExecute", "")
        for toleration in tolerations
    )
