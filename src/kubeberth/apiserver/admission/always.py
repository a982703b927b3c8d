"""AlwaysAdmit and AlwaysDeny, which do as they say.

Match `k8s.io/apiserver` and `plugin/pkg/admission/{admit,deny}` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.apiserver.admission.chain import Attributes, Plugin


class AlwaysAdmit(Plugin):
    """Lets everything pass, as if it were not there."""


class AlwaysDeny(Plugin):
    """Refuses every write."""

    async def admit(self, attributes: Attributes) -> None:
        """Refuse."""
        raise attributes.forbid("admission control is denying all modifications")

    async def validate(self, attributes: Attributes) -> None:
        """Refuse."""
        raise attributes.forbid("admission control is denying all modifications")
