"""LimitPodHardAntiAffinityTopology: who keeps others away for certain does so by host alone.

Else one pod could keep all others out of a whole zone.
Matches `plugin/pkg/admission/antiaffinity` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.node_labels import HOSTNAME
from kubeberth.api.scheme import PODS
from kubeberth.apiserver.admission.chain import Attributes, Plugin


class LimitPodHardAntiAffinityTopology(Plugin):
    """Refuses required anti-affinity by anything but the host's name."""

    resources = (PODS,)

    async def validate(self, attributes: Attributes) -> None:
        """Look at the required terms of a new or changed pod."""
        pod = attributes.document
        if pod is None or attributes.subresource:
            return
        rules = (pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}
        for term in rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            key = term.get("topologyKey", "")
            if key != HOSTNAME:
                raise attributes.forbid(
                    f"affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {key} but "
                    f"only key {HOSTNAME} is allowed"
                )
