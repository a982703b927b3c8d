"""DenyServiceExternalIPs: no service takes traffic that is meant for somebody else.

Matches `plugin/pkg/admission/network/denyserviceexternalips` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.scheme import SERVICES
from kubeberth.apiserver.admission.chain import Attributes, Plugin


class DenyServiceExternalIPs(Plugin):
    """Refuses external addresses that a service did not have."""

    resources = (SERVICES,)

    async def validate(self, attributes: Attributes) -> None:
        """Look at a new or changed service."""
        service = attributes.document
        if service is None or attributes.subresource:
            return
        wanted = set((service.get("spec") or {}).get("externalIPs") or ())
        found = set(((attributes.old or {}).get("spec") or {}).get("externalIPs") or ())
        if wanted - found:
            raise attributes.forbid("Use of external IPs is denied by admission control")
